"""What quadruples are made of: events and backgrounds, each from a folder or procedural."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from byola_diff.evaluation.additivity.folders import (
    SoundFile,
    choose_events,
    list_backgrounds,
    list_events,
    read_backgrounds,
    read_events,
)
from byola_diff.evaluation.additivity.mixing import EventSounds, level_sounds
from byola_diff.evaluation.additivity.procedural import render_backgrounds, render_events

PROCEDURAL = "procedural"


@dataclass(frozen=True)
class Sources:
    """Where events and backgrounds come from; None for procedural ones."""

    name: str
    """Of the task."""
    events: tuple[SoundFile, ...] | None = None
    backgrounds: tuple[SoundFile, ...] | None = None

    def settings(self) -> dict[str, Any]:
        """What a record says of the files; nothing if all sounds are procedural."""
        sides = {"event": self.events, "background": self.backgrounds}
        return {
            key: value
            for side, files in sides.items()
            if files is not None
            for key, value in (
                (f"n_{side}_files", len(files)),
                (f"{side}_files_sha256", _digest(files)),
            )
        }


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
    n_events, n_samples = protocol.n_events, round(protocol.duration_s * sample_rate)
    if sources.events is None:
        events, labels = render_events(n_events, seed, sample_rate, n_samples)
    else:
        chosen = choose_events(list(sources.events), n_events, seed)
        events = read_events(chosen, seed, sample_rate, n_samples)
        labels = tuple(file.label for file in chosen)
    if sources.backgrounds is None:
        first, second = render_backgrounds(n_events, seed, sample_rate, n_samples)
    else:
        files = list(sources.backgrounds)
        first, second = read_backgrounds(files, n_events, seed, sample_rate, n_samples)
    return level_sounds(events, first, second, labels, protocol.snrs_db)


def _name(path: Path | None) -> str:
    if path is None:
        return PROCEDURAL
    path = path.resolve()
    return path.stem if path.is_file() else path.name


def _digest(files: tuple[SoundFile, ...]) -> str:
    listed = [(file.name, file.label, file.start_s, file.duration_s) for file in files]
    return hashlib.sha256(repr(listed).encode()).hexdigest()
