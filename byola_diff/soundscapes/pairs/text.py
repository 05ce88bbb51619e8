"""The difference of a pair of clips as an instruction: "remove the dog and turn up the traffic".

The texts of APwD are not published; these are made by a grammar of our own, so that scores compare
within this project and not strictly with those of the papers.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from byola_diff.randomness import derive_seed
from byola_diff.soundscapes.pairs.changes import Action, Change, changes
from byola_diff.soundscapes.render.plan import Soundscape


@dataclass(frozen=True)
class Words:
    """A sound as it is spoken of."""

    noun: str
    """After "the": "dog", "chirping birds"."""
    new: str
    """Where it is first mentioned: "a dog", "birds chirping"."""

    @property
    def one_more(self) -> str:
        """One more of a kind that is there already: "another dog", "more footsteps"."""
        return f"another {self.noun}" if self._countable else f"more {self.noun}"

    @property
    def some(self) -> str:
        """Part of what is there: "one dog", "some of the footsteps"."""
        return f"one {self.noun}" if self._countable else f"some of the {self.noun}"

    @property
    def _countable(self) -> bool:
        return self.new.startswith(("a ", "an "))


# Labels of ESC-50, FSD50K, APwD and the procedural sounds that don't read well word for word.
_SPOKEN = {
    "baby_cry": Words("crying baby", "a crying baby"),
    "bird": Words("singing bird", "a singing bird"),
    "birds": Words("chirping birds", "birds chirping"),
    "blast": Words("blast of noise", "a blast of noise"),
    "brushing_teeth": Words("tooth brushing", "tooth brushing"),
    "car_passing": Words("traffic", "traffic"),
    "chirping_birds": Words("chirping birds", "birds chirping"),
    "church_bell": Words("church bells", "church bells"),
    "clock_alarm": Words("alarm clock", "an alarm clock"),
    "clock_tick": Words("ticking clock", "a ticking clock"),
    "crow": Words("cawing crow", "a crow cawing"),
    "crumple": Words("crumpling paper", "crumpling paper"),
    "dog_bark": Words("barking dog", "a dog barking"),
    "door_wood_creaks": Words("creaking door", "a creaking door"),
    "door_wood_knock": Words("knocking on the door", "knocking on a door"),
    "drinking_sipping": Words("sipping", "sipping"),
    "drips": Words("dripping water", "dripping water"),
    "fire_crackling": Words("crackling fire", "a crackling fire"),
    "glass_break": Words("breaking glass", "breaking glass"),
    "glass_breaking": Words("breaking glass", "breaking glass"),
    "glass_clink": Words("clinking glasses", "clinking glasses"),
    "horn_chord": Words("chord of horns", "a chord of horns"),
    "metal_hit": Words("clang of metal", "a clang of metal"),
    "person_sneeze": Words("sneezing", "someone sneezing"),
    "rotor": Words("spinning rotor", "a spinning rotor"),
    "telephone_ring": Words("ringing telephone", "a ringing telephone"),
    "train_ride": Words("train", "a train"),
    "vowels": Words("voice", "a voice"),
}

_WITHOUT_ARTICLE = {
    *("applause", "chatter", "crackle", "fire", "hail", "hiss", "laughter", "music", "noise"),
    *("rain", "rustle", "singing", "speech", "static", "thunder", "traffic", "water", "wind"),
}


def label_words(label: str) -> Words:
    """The label as words: of its own where it needs them, otherwise its parts in lower case.

    Plurals, activities ("typing") and what can't be counted have no article.
    """
    key = re.sub(r"\(.*?\)", "", label).strip("_ ").lower().replace(" ", "_")
    if key in _SPOKEN:
        return _SPOKEN[key]
    noun = re.sub(r"[\W_]+", " ", key).strip() or label
    last = noun.split()[-1]
    plural = last.endswith("s") and not last.endswith("ss")
    if plural or last.endswith("ing") or last in _WITHOUT_ARTICLE or last == "hum":
        return Words(noun, noun)
    return Words(noun, f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}")


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
