"""What quadruples are made of: events and backgrounds, each from a folder or procedural.

Procedural sounds need no data set at hand. All of them differ, and the two backgrounds of an event
are of two families.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.evaluation.additivity.folders import (
    SoundFile,
    choose_events,
    list_backgrounds,
    list_events,
    read_backgrounds,
    read_events,
)
from byola_diff.evaluation.additivity.mixing import EventSounds, level_sounds
from byola_diff.randomness import derive_seed, torch_generator
from byola_diff.sounds import BACKGROUNDS, FOREGROUNDS, render

PROCEDURAL = "procedural"


@dataclass(frozen=True)
class Sources:
    """Where events and backgrounds come from; None for procedural ones."""

    name: str = PROCEDURAL
    """The task in records."""
    events: tuple[SoundFile, ...] | None = None
    backgrounds: tuple[SoundFile, ...] | None = None

    def settings(self) -> dict[str, Any]:
        """What a record says of the files; nothing if all sounds are procedural."""
        found: dict[str, Any] = {}
        for side, files in (("event", self.events), ("background", self.backgrounds)):
            if files is not None:
                found[f"n_{side}_files"] = len(files)
                found[f"{side}_files_sha256"] = _digest(files)
        return found


@dataclass(frozen=True)
class AdditivityProtocol:
    """How many quadruples, how long, and at which ratios."""

    n_events: int = 200
    snrs_db: tuple[float, ...] = (-10.0, -5.0, 0.0, 5.0, 10.0, 15.0, 20.0)
    duration_s: float = 2.0

    @property
    def main_snr_db(self) -> float:
        """The ratio nearest to 0 dB; of two the higher one."""
        return min(self.snrs_db, key=lambda snr_db: (abs(snr_db), -snr_db))


def open_sources(events: Path | None, backgrounds: Path | None, duration_s: float) -> Sources:
    """Sources with their files listed.

    Args:
        events: Folder or manifest, as of `list_events`; procedural events if None.
        backgrounds: Folder of long files; procedural backgrounds if None.
        duration_s: That backgrounds must last.

    Raises:
        ValueError: If there are no events, or fewer than two backgrounds that are long enough.
        AudioFileError: If a background is unreadable.
        NotADirectoryError: If there is no such folder.
    """
    names = [_name(path) for path in (events, backgrounds)]
    return Sources(
        PROCEDURAL if not events and not backgrounds else "/".join(names),
        None if events is None else tuple(list_events(events)),
        None if backgrounds is None else tuple(list_backgrounds(backgrounds, duration_s)),
    )


def event_sounds(
    sources: Sources, protocol: AdditivityProtocol, seed: int, sample_rate: int
) -> EventSounds:
    """Sounds of the quadruples of a seed: each seed has other sounds and other pairings.

    Raises:
        ValueError: If there are fewer event files than events.
        AudioFileError: If a file is unreadable, silent, or too short.
    """
    n_events, how = protocol.n_events, (seed, sample_rate, round(protocol.duration_s * sample_rate))
    if sources.events is None:
        # Families come in turn, so that each has several events.
        labels = [list(FOREGROUNDS)[number % len(FOREGROUNDS)] for number in range(n_events)]
        events = _render(labels, "event", *how)
    else:
        chosen = choose_events(sources.events, n_events, seed)
        labels = [file.label for file in chosen]
        events = read_events(chosen, *how)
    if sources.backgrounds is None:
        first, second = _background_families(n_events, seed)
        backgrounds = _render(first, "first", *how), _render(second, "second", *how)
    else:
        backgrounds = read_backgrounds(sources.backgrounds, n_events, *how)
    return level_sounds(events, *backgrounds, labels, protocol.snrs_db)


def _background_families(n_events: int, seed: int) -> tuple[list[str], list[str]]:
    """Two families of backgrounds per event."""
    names = list(BACKGROUNDS)
    draws = torch.rand(n_events, 2, generator=torch_generator(seed, "additivity backgrounds"))
    first = (draws[:, 0] * len(names)).long()
    second = (first + 1 + (draws[:, 1] * (len(names) - 1)).long()) % len(names)
    return [names[place] for place in first.tolist()], [names[place] for place in second.tolist()]


def _render(
    families: list[str], side: str, seed: int, sample_rate: int, n_samples: int
) -> Float[Tensor, "event sample"]:
    index = torch.arange(len(families))
    return render(families, derive_seed(seed, "additivity", side), index, n_samples, sample_rate)


def _name(path: Path | None) -> str:
    if path is None:
        return PROCEDURAL
    path = path.resolve()
    return path.stem if path.is_file() else path.name


def _digest(files: tuple[SoundFile, ...]) -> str:
    listed = [(file.name, file.label, file.start_s, file.duration_s) for file in files]
    return hashlib.sha256(repr(listed).encode()).hexdigest()
