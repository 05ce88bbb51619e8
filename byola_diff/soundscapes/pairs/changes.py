"""What differs between the two clips of a pair, read from their plans.

Only labels and levels count: an event that stays is another recording at another time in the second
clip. A label of the background in the foreground makes the background louder while it is there.
"""

from dataclasses import dataclass
from typing import Literal

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

    Several events of one label on both sides are compared by their mean level.

    Raises:
        ValueError: If the backgrounds of the two have other labels.
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
        change = _background_change(label, old, new) if label in beds else _change(label, old, new)
        found += [change] if change else []
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


def _change(label: str, old: list[float], new: list[float]) -> Change | None:
    if len(old) != len(new):
        action = "add" if len(new) > len(old) else "remove"
        return Change(action, label, some_stay=bool(old and new))
    level_db = sum(new) / len(new) - sum(old) / len(old)
    if abs(level_db) < _SAME_LEVEL_DB:
        return None
    return Change("louder" if level_db > 0 else "quieter", label, level_db)


def _background_change(label: str, old: list[float], new: list[float]) -> Change | None:
    change = _change(label, old, new)
    if change is None:
        return None
    more = change.action in ("add", "louder")
    return Change("background louder" if more else "background quieter", label, change.level_db)
