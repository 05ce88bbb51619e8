"""Quadruples of waveforms: two backgrounds per event, each without and with the event.

Events and backgrounds come from a folder, or are procedural: then all of them differ, and the two
backgrounds of an event are of two families. The level of an event is the root mean square over its
span, from the first to the last sample within 40 dB of its peak; that of a background is the root
mean square of the whole clip.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

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
from byola_diff.randomness import derive_seed, torch_generator
from byola_diff.sounds import BACKGROUNDS, FOREGROUNDS, render

PROCEDURAL = "procedural"

_LEVEL_DB = -32.0
"""Level of all sounds: at ratios around 0 dB, most events keep their peaks within [-1, 1]."""

_SPAN_FLOOR_DB = -40.0


class MixedEvents(NamedTuple):
    """Waveforms of two backgrounds per event, each without and with the event."""

    first_background: Float[Tensor, "event sample"]
    first_mixture: Float[Tensor, "event sample"]
    second_background: Float[Tensor, "event sample"]
    second_mixture: Float[Tensor, "event sample"]


class EventSounds(NamedTuple):
    """Waveforms that quadruples are mixed of, all of one level, and labels of the events."""

    events: Float[Tensor, "event sample"]
    first_background: Float[Tensor, "event sample"]
    second_background: Float[Tensor, "event sample"]
    labels: tuple[str, ...]


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
                listed = [(file.name, file.label, file.start_s, file.duration_s) for file in files]
                found[f"{side}_files_sha256"] = hashlib.sha256(repr(listed).encode()).hexdigest()
        return found


def open_sources(events: Path | None, backgrounds: Path | None, duration_s: float) -> Sources:
    """Sources with their files as `list_events` and `list_backgrounds` list them, or raise.

    What is None is procedural; files of backgrounds must last `duration_s`.
    """
    names = [_name(path) for path in (events, backgrounds)]
    return Sources(
        PROCEDURAL if {events, backgrounds} == {None} else "/".join(names),
        None if events is None else tuple(list_events(events)),
        None if backgrounds is None else tuple(list_backgrounds(backgrounds, duration_s)),
    )


def event_sounds(
    sources: Sources,
    n_events: int,
    snrs_db: Sequence[float],
    duration_s: float,
    seed: int,
    sample_rate: int,
) -> EventSounds:
    """Sounds of the quadruples of a seed: each seed has other sounds and other pairings.

    Raises as `choose_events`, `read_events` and `read_backgrounds`.
    """
    how = (seed, sample_rate, round(duration_s * sample_rate))
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
    return level_sounds(events, *backgrounds, labels, snrs_db)


def level_sounds(
    events: Float[Tensor, "event sample"],
    first_background: Float[Tensor, "event sample"],
    second_background: Float[Tensor, "event sample"],
    labels: Sequence[str],
    snrs_db: Sequence[float],
) -> EventSounds:
    """All sounds brought to one level, at which no ratio leaves [-1, 1].

    The rare quadruple of very peaked sounds that would do so is scaled down, as a whole and alike
    for all ratios.

    Raises:
        ValueError: If an event or a background is silent.
    """
    sounds = EventSounds(
        level_events(events),
        _at_level(first_background, _rms(first_background)),
        _at_level(second_background, _rms(second_background)),
        tuple(labels),
    )
    mixed = [side for snr_db in snrs_db for side in mix_at(sounds, snr_db)]
    excess = torch.stack([side.abs().amax(1) for side in mixed]).amax(0).clamp(min=1)[:, None]
    events, first, second = (side / excess for side in sounds[:3])
    return EventSounds(events, first, second, sounds.labels)


def level_events(events: Float[Tensor, "event sample"]) -> Float[Tensor, "event sample"]:
    """Events brought to the level of `level_sounds`; a silent one raises ValueError."""
    _rms(events)  # refuses silence
    peak = events.abs().amax(1, keepdim=True)
    loud = (events.abs() >= peak * 10 ** (_SPAN_FLOOR_DB / 20)).int()
    # Between the first and the last loud sample, both running counts are positive.
    inside = (loud.cumsum(1) > 0) & (loud.flip(1).cumsum(1).flip(1) > 0)
    power = (events.double().square() * inside).sum(1) / inside.sum(1)
    return _at_level(events, power.sqrt().to(events.dtype))


def mix_at(sounds: EventSounds, snr_db: float) -> MixedEvents:
    """Quadruples at a ratio; the same samples of an event are added to both of its backgrounds.

    The louder of the two keeps its level, the other one is lowered: an event 20 dB above a
    background of -32 dB would clip, and with all else 20 dB lower, figures at 0 dB would change,
    since the logarithm of an encoder's front end has a floor.
    """
    background_gain, event_gain = gains(snr_db)
    first = background_gain * sounds.first_background
    second = background_gain * sounds.second_background
    added = event_gain * sounds.events
    return MixedEvents(first, first + added, second, second + added)


def gains(snr_db: float) -> tuple[float, float]:
    """Factors of background and event, the larger of which is 1."""
    return 10 ** (min(-snr_db, 0.0) / 20), 10 ** (min(snr_db, 0.0) / 20)


def _rms(waveforms: Float[Tensor, "event sample"]) -> Float[Tensor, " event"]:
    rms = waveforms.double().square().mean(1).sqrt()
    if not (rms > 0).all():
        silent = (rms == 0).nonzero().flatten().tolist()
        raise ValueError(f"silent sounds: {silent}: take others, or longer clips")
    return rms.to(waveforms.dtype)


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


def _at_level(
    waveforms: Float[Tensor, "event sample"], loudness: Float[Tensor, " event"]
) -> Float[Tensor, "event sample"]:
    return waveforms * (10 ** (_LEVEL_DB / 20) / loudness)[:, None]
