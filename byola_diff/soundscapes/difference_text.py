"""The difference of a pair of clips as an instruction: "remove the dog and turn up the traffic".

The texts of APwD are not published; these are made by a grammar of our own, so that scores compare
within this project and not strictly with those of the papers.
"""

from collections.abc import Sequence

import numpy as np

from byola_diff.randomness import derive_seed
from byola_diff.soundscapes.label_words import Words, label_words
from byola_diff.soundscapes.pair_changes import Action, Change, changes
from byola_diff.soundscapes.plan import Soundscape

TEMPLATES: dict[Action, tuple[str, ...]] = {
    "add": (
        "add {new}",
        "insert {new}",
        "mix in {new}",
        "introduce {new}",
        "add the sound of {new}",
    ),
    "remove": (
        "remove {old}",
        "take out {old}",
        "delete {old}",
        "get rid of {old}",
        "cut out {old}",
    ),
    "louder": (
        "increase the volume of the {noun}",
        "make the {noun} louder",
        "turn up the {noun}",
        "raise the level of the {noun}",
        "increase the loudness of the {noun}",
    ),
    "quieter": (
        "decrease the volume of the {noun}",
        "make the {noun} quieter",
        "turn down the {noun}",
        "lower the level of the {noun}",
        "reduce the volume of the {noun}",
    ),
    "background louder": (
        "increase the volume of the {noun} in the background",
        "make the background {noun} louder",
        "turn up the {noun} in the background",
        "raise the level of the background {noun}",
    ),
    "background quieter": (
        "decrease the volume of the {noun} in the background",
        "make the background {noun} quieter",
        "turn down the {noun} in the background",
        "lower the level of the background {noun}",
    ),
}
"""Wordings of each action, drawn with equal chances."""


def difference_text(first: Soundscape, second: Soundscape, seed: int = 0) -> str:
    """What to do to the first clip to get the second: a clause for each change, in random order.

    Wording and order depend on the seed and the names of the two clips alone.

    Raises:
        ValueError: If nothing changes, or the backgrounds have other labels.
    """
    found = changes(first, second)
    if not found:
        raise ValueError(f"{first.name} and {second.name} have the same events at the same levels")
    random = np.random.default_rng(derive_seed(seed, "difference text", first.name, second.name))
    return _joined([_clause(found[place], random) for place in random.permutation(len(found))])


def _clause(change: Change, random: np.random.Generator) -> str:
    templates = TEMPLATES[change.action]
    words = label_words(change.label)
    new, old = _mentions(words, change.some_stay)
    template = templates[random.integers(len(templates))]
    return template.format(noun=words.noun, new=new, old=old)


def _mentions(words: Words, some_stay: bool) -> tuple[str, str]:
    """What is added and what is removed."""
    return (words.one_more, words.some) if some_stay else (words.new, f"the {words.noun}")


def _joined(clauses: Sequence[str]) -> str:
    *most, last = clauses
    return f"{', '.join(most)} and {last}" if most else last
