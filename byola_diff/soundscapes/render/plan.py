"""The plan of a soundscape: which sounds, from where to where, how loud. Pure data, no audio.

Loudness is integrated loudness after ITU-R BS.1770 (LUFS), as in Scaper: a background is brought to
`ref_db`, an event to `ref_db + snr_db`, each by itself. Two backgrounds are thus 3 dB louder
together, and the ratio of an event to both 3 dB less than its `snr_db`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

Role = Literal["background", "foreground"]

Roots = Mapping[Role, Path]
"""Folders that the sources of each role lie below."""


@dataclass(frozen=True)
class Event:
    """One sound of a soundscape: an event in the foreground, or a background."""

    role: Role
    label: str
    source: str
    """Audio file, relative to the root of its role, with `/` between the parts."""
    source_time_s: float = 0.0
    """Where in the source it begins."""
    event_time_s: float = 0.0
    """Where in the soundscape it begins. A background begins at 0."""
    duration_s: float = math.inf
    """Cut at the end of the source and of the soundscape. A background is as long as the
    soundscape, and a source that is too short for it is repeated."""
    snr_db: float = 0.0
    """Loudness above `ref_db`; not used for a background."""

    def __post_init__(self) -> None:
        path = PurePosixPath(self.source)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"source {self.source!r} is not below the folder of sources")
        times = (self.source_time_s, self.event_time_s)
        if not all(0 <= time < math.inf for time in times) or not self.duration_s > 0:
            raise ValueError(f"{self.source}: times {times} or duration {self.duration_s} s")
        if not math.isfinite(self.snr_db):
            raise ValueError(f"{self.source}: level {self.snr_db} dB")
        if self.role == "background" and self.event_time_s:
            raise ValueError(f"{self.source}: a background begins at 0, not {self.event_time_s} s")


@dataclass(frozen=True)
class Soundscape:
    """A mixture of backgrounds and events, mono."""

    name: str
    duration_s: float
    sample_rate: int
    ref_db: float
    """Loudness of each background, in LUFS."""
    events: tuple[Event, ...]
    fade_s: float = 0.01
    """Quarter of a sine at both ends of each event in the foreground."""

    def __post_init__(self) -> None:
        if not 0 < self.duration_s < math.inf or self.sample_rate < 1 or self.fade_s < 0:
            raise ValueError(
                f"{self.name}: {self.duration_s} s at {self.sample_rate} Hz, fades {self.fade_s} s"
            )
        if not self.events:
            raise ValueError(f"{self.name}: no event")
        late = [event.source for event in self.events if event.event_time_s >= self.duration_s]
        if late:
            raise ValueError(f"{self.name}: {late[0]} begins after the end")

    @property
    def n_samples(self) -> int:
        """Length of the mixture."""
        return int(self.duration_s * self.sample_rate)
