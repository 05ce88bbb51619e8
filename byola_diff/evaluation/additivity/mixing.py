"""Quadruples of waveforms: two backgrounds per event, each without and with the event.

The level of an event is the root mean square over its span, from the first to the last sample
within 40 dB of its peak; that of a background is the root mean square of the whole clip.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

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
        _at_level(first_background, rms(first_background)),
        _at_level(second_background, rms(second_background)),
        tuple(labels),
    )
    mixed = [side for snr_db in snrs_db for side in mix_at(sounds, snr_db)]
    excess = torch.stack([side.abs().amax(1) for side in mixed]).amax(0).clamp(min=1)[:, None]
    events, first, second = (side / excess for side in sounds[:3])
    return EventSounds(events, first, second, sounds.labels)


def level_events(events: Float[Tensor, "event sample"]) -> Float[Tensor, "event sample"]:
    """Events brought to the level of `level_sounds`.

    Raises:
        ValueError: If an event is silent.
    """
    return _at_level(events, span_rms(events))


def mix_at(sounds: EventSounds, snr_db: float) -> MixedEvents:
    """Quadruples at a ratio; the same samples of an event are added to both of its backgrounds.

    The louder of the two keeps its level, the other one is lowered: an event 20 dB above a
    background of -32 dB would clip, and with all else 20 dB lower, figures at 0 dB would change,
    since the logarithm of an encoder's front end has a floor.
    """
    background_gain, event_gain = gains(snr_db)
    first, second = (
        background_gain * side for side in (sounds.first_background, sounds.second_background)
    )
    added = event_gain * sounds.events
    return MixedEvents(first, first + added, second, second + added)


def gains(snr_db: float) -> tuple[float, float]:
    """Factors of background and event, the larger of which is 1."""
    return 10 ** (min(-snr_db, 0.0) / 20), 10 ** (min(snr_db, 0.0) / 20)


def rms(waveforms: Float[Tensor, "event sample"]) -> Float[Tensor, " event"]:
    """Root mean square of each clip.

    Raises:
        ValueError: If one is silent.
    """
    rms = waveforms.double().square().mean(1).sqrt()
    if not (rms > 0).all():
        silent = (rms == 0).nonzero().flatten().tolist()
        raise ValueError(f"silent sounds: {silent}: take others, or longer clips")
    return rms.to(waveforms.dtype)


def span_rms(events: Float[Tensor, "event sample"]) -> Float[Tensor, " event"]:
    """Root mean square from the first to the last sample that is near the peak.

    Raises:
        ValueError: If an event is silent.
    """
    rms(events)
    peak = events.abs().amax(1, keepdim=True)
    loud = (events.abs() >= peak * 10 ** (_SPAN_FLOOR_DB / 20)).int()
    # Between the first and the last loud sample, both running counts are positive.
    inside = (loud.cumsum(1) > 0) & (loud.flip(1).cumsum(1).flip(1) > 0)
    power = (events.double().square() * inside).sum(1) / inside.sum(1)
    return power.sqrt().to(events.dtype)


def _at_level(
    waveforms: Float[Tensor, "event sample"], loudness: Float[Tensor, " event"]
) -> Float[Tensor, "event sample"]:
    return waveforms * (10 ** (_LEVEL_DB / 20) / loudness)[:, None]
