"""What differs between the two clips of a pair, read from their plans, and that as an instruction.

Only labels and levels count: an event that stays is another recording at another time in the second
clip. A label of the background in the foreground makes the background louder while it is there.

The texts of APwD are not published; these ("remove the dog and turn up the traffic") are made by a
grammar of our own, so that scores compare within this project and not strictly with the papers'.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import yaml

from byola_diff.randomness import derive_seed
from byola_diff.soundscapes.render.plan import Soundscape

Action = Literal["add", "remove", "louder", "quieter", "background louder", "background quieter"]

_SAME_LEVEL_DB = 0.1


@dataclass(frozen=True)
class Change:
    """One difference, as an instruction that turns the first clip into the second."""

    action: Action
    label: str
    level_db: float | None = None
    """By how much an event that stays is louder, negative if it is quieter."""
    some_stay: bool = False
    """Whether both clips have events of the label, one of them more."""

    def __str__(self) -> str:
        return f"{self.action} {self.label}"


def changes(first: Soundscape, second: Soundscape) -> tuple[Change, ...]:
    """All differences, sorted by label. Levels within 0.1 dB are the same.

    Several events of one label on both sides are compared by their mean level. `ValueError` is
    raised if the backgrounds of the two have other labels.
    """
    beds = {event.label for event in first.events if event.role == "background"}
    others = {event.label for event in second.events if event.role == "background"}
    if beds != others:
        raise ValueError(
            f"{first.name}: backgrounds {sorted(beds)}, in the second {sorted(others)}"
        )
    before, after = _levels_db(first), _levels_db(second)
    found = []
    for label in sorted(before.keys() | after.keys()):
        old, new = before.get(label, []), after.get(label, [])
        if change := _change(label, old, new, in_bed=label in beds):
            found.append(change)
    return tuple(found)


def event_labels(plan: Soundscape) -> tuple[str, ...]:
    """Labels in the foreground, sorted, each once: the classes of a clip.

    The background's is among them only where it lies in the foreground too: it is in every clip.
    """
    return tuple(sorted(_levels_db(plan)))


def _levels_db(plan: Soundscape) -> dict[str, list[float]]:
    levels: dict[str, list[float]] = {}
    for event in plan.events:
        if event.role == "foreground":
            levels.setdefault(event.label, []).append(event.snr_db)
    return levels


def _change(label: str, old: list[float], new: list[float], *, in_bed: bool) -> Change | None:
    if len(old) != len(new):
        more, level_db = len(new) > len(old), None
    else:
        level_db = sum(new) / len(new) - sum(old) / len(old)
        if abs(level_db) < _SAME_LEVEL_DB:
            return None
        more = level_db > 0
    if in_bed:
        return Change("background louder" if more else "background quieter", label, level_db)
    if level_db is None:
        return Change("add" if more else "remove", label, some_stay=bool(old and new))
    return Change("louder" if more else "quieter", label, level_db)


class Words(NamedTuple):
    """A sound as it is spoken of."""

    noun: str
    """After "the": "dog", "chirping birds"."""
    new: str
    """Where it is first mentioned: "a dog", "birds chirping"."""

    def added_and_removed(self, some_stay: bool) -> tuple[str, str]:
        """What is added and what is removed; "another dog" and "one dog" if others of it stay."""
        if not some_stay:
            return self.new, f"the {self.noun}"
        if self.new.startswith(("a ", "an ")):
            return f"another {self.noun}", f"one {self.noun}"
        return f"more {self.noun}", f"some of the {self.noun}"


@cache
def vocabulary() -> dict[str, Any]:
    """Wordings of each action (`templates`), and labels that need words of their own (`spoken`)."""
    text = Path(__file__).with_name("difference_words.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def label_words(label: str) -> Words:
    """The label as words: of its own where it needs them, otherwise its parts in lower case.

    Plurals, activities ("typing") and what can't be counted have no article.
    """
    key = re.sub(r"\(.*?\)", "", label).strip("_ ").lower().replace(" ", "_")
    if key in vocabulary()["spoken"]:
        return Words(*vocabulary()["spoken"][key])
    noun = re.sub(r"[\W_]+", " ", key).strip() or label
    last = noun.split()[-1]
    plural = last.endswith("s") and not last.endswith("ss")
    if plural or last.endswith("ing") or last in vocabulary()["without_article"]:
        return Words(noun, noun)
    return Words(noun, f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}")


def difference_text(first: Soundscape, second: Soundscape, seed: int = 0) -> str:
    """What to do to the first clip to get the second: a clause for each change, in random order.

    Wording and order depend on the seed and the names of the two clips alone. `ValueError` is
    raised if nothing changes, or the backgrounds have other labels.
    """
    found = changes(first, second)
    if not found:
        raise ValueError(f"{first.name} and {second.name} have the same events at the same levels")
    random = np.random.default_rng(derive_seed(seed, "difference text", first.name, second.name))
    clauses = [_clause(found[place], random) for place in random.permutation(len(found))]
    *most, last = clauses
    return f"{', '.join(most)} and {last}" if most else last


def _clause(change: Change, random: np.random.Generator) -> str:
    templates = vocabulary()["templates"][change.action]
    words = label_words(change.label)
    new, old = words.added_and_removed(change.some_stay)
    return templates[random.integers(len(templates))].format(noun=words.noun, new=new, old=old)
