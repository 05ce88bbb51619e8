"""Pairs of clips with a known difference, as in APwD: planned anew, or as published."""

from byola_diff.soundscapes.pairs.changes import Change, changes
from byola_diff.soundscapes.pairs.corpus import RenderSettings, write_clip, write_corpus
from byola_diff.soundscapes.pairs.plan import PairRecipe, plan_pair
from byola_diff.soundscapes.pairs.production import RequiredSources, produce_items
from byola_diff.soundscapes.pairs.text import difference_text

__all__ = [
    "Change",
    "PairRecipe",
    "RenderSettings",
    "RequiredSources",
    "changes",
    "difference_text",
    "plan_pair",
    "produce_items",
    "write_clip",
    "write_corpus",
]
