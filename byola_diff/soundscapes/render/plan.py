"""The plan of a soundscape, and what is rendered of it.

A plan says which sounds, from where to where, how loud: pure data, no audio.

Loudness is integrated loudness after ITU-R BS.1770 (LUFS), as in Scaper: a background is brought to
`ref_db`, an event to `ref_db + snr_db`, each by itself. Two backgrounds are thus 3 dB louder
together, and the ratio of an event to both 3 dB less than its `snr_db`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from jaxtyping import Float

Role = Literal["background", "foreground"]

Roots = Mapping[Role, Path]
"""Folders that the sources of each role lie below."""

_SUM_TOLERANCE = 1e-6


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
        if not self.events:
            raise ValueError("no event")
        late = [event.source for event in self.events if event.event_time_s >= self.duration_s]
        if late:
            raise ValueError(f"{late[0]} begins after the end")

    @property
    def n_samples(self) -> int:
        """Length of the mixture."""
        return int(self.duration_s * self.sample_rate)

    def length_s(self, event: Event) -> float:
        """How long an event lasts unless its source is shorter: no longer than the soundscape."""
        if event.role == "background":
            return self.duration_s
        return min(event.duration_s, self.duration_s - event.event_time_s)


@dataclass(frozen=True)
class Rendered:
    """A mixture and its parts, in float64."""

    mixture: Float[np.ndarray, " sample"]
    stems: tuple[Float[np.ndarray, " sample"], ...]
    """Each event of the plan as it is in the mixture, and as long; in the order of the plan."""
    gains_db: tuple[float, ...]
    """What each source was amplified by."""


class RenderError(ValueError):
    """A soundscape that can't be rendered as planned: its plan, why, and the event at fault."""

    def __str__(self) -> str:
        plan, reason, *events = self.args
        return ": ".join([plan.name, *(event.source for event in events), reason])


class ClippingError(RenderError):
    """A sound that reaches full scale, which a lower level mends."""


def checked(plan: Soundscape, rendered: Rendered) -> Rendered:
    """What was rendered; `RenderError` unless its stems sum to a finite mixture.

    Its peak may be beyond full scale: what is done about that is decided where it is written.
    """
    mixture, stems = rendered.mixture, rendered.stems
    if not all(np.isfinite(part).all() for part in (mixture, *stems)):
        raise RenderError(plan, "has NaN or infinite samples")
    difference = np.abs(mixture - sum(stems)).max()
    if difference > _SUM_TOLERANCE:
        raise RenderError(plan, f"differs from the sum of its stems by {difference:.2g}")
    return rendered
