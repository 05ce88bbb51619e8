"""Pairs of clips with a known difference, as in APwD: planned anew, or as published."""

from byola_diff.soundscapes.pairs.corpus import (
    RenderSettings,
    RequiredSources,
    produce_items,
    write_clip,
    write_corpus,
)
from byola_diff.soundscapes.pairs.plan import PairRecipe, plan_pair

__all__ = [
    "PairRecipe",
    "RenderSettings",
    "RequiredSources",
    "plan_pair",
    "produce_items",
    "write_clip",
    "write_corpus",
]
