"""Quadruples of waveforms: two backgrounds per event, each without and with the event.

The level of an event is the root mean square over its span, from the first to the last sample
within 40 dB of its peak; that of a background is the root mean square of the whole clip.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

BACKGROUND_DB = -32.0
"""Level of backgrounds: events at ratios up to 0 dB keep their peaks within [-1, 1]."""

_SPAN_FLOOR_DB = -40.0


@dataclass(frozen=True)
class MixedEvents:
    """Waveforms [event, sample] of two backgrounds per event, each without and with the event."""

    first_background: Tensor
    first_mixture: Tensor
    second_background: Tensor
    second_mixture: Tensor

    def to(self, device: torch.device | str) -> "MixedEvents":
        """The same on another device."""
        return MixedEvents(*(getattr(self, field.name).to(device) for field in fields(self)))


@dataclass(frozen=True)
class EventSounds:
    """Waveforms [event, sample] that quadruples are mixed of, of one level, and event labels."""

    events: Tensor
    first_background: Tensor
    second_background: Tensor
    labels: tuple[str, ...]


def mix_events(
    events: Float[Tensor, "event sample"],
    first_background: Float[Tensor, "event sample"],
    second_background: Float[Tensor, "event sample"],
    snr_db: float,
) -> MixedEvents:
    """Backgrounds brought to one level, each event added to both of its own as the same samples.

    Raises:
        ValueError: If an event or a background is silent.
    """
    level = 10 ** (BACKGROUND_DB / 20)
    added = events * (level * 10 ** (snr_db / 20) / span_rms(events))[:, None]
    first = first_background * (level / rms(first_background))[:, None]
    second = second_background * (level / rms(second_background))[:, None]
    return MixedEvents(first, first + added, second, second + added)


def level_sounds(
    events: Float[Tensor, "event sample"],
    first_background: Float[Tensor, "event sample"],
    second_background: Float[Tensor, "event sample"],
    labels: Sequence[str],
    snrs_db: Sequence[float],
) -> EventSounds:
    """All sounds brought to the level of `mix_events`, at which no ratio leaves [-1, 1].

    The rare quadruple of very peaked sounds that would do so is scaled down, as a whole and alike
    for all ratios.

    Raises:
        ValueError: If an event or a background is silent.
    """
    level = 10 ** (BACKGROUND_DB / 20)
    sounds = EventSounds(
        events * (level / span_rms(events))[:, None],
        first_background * (level / rms(first_background))[:, None],
        second_background * (level / rms(second_background))[:, None],
        tuple(labels),
    )
    peaks = torch.stack([_peaks(mix_at(sounds, snr_db)) for snr_db in snrs_db]).amax(0)
    excess = peaks.clamp(min=1)[:, None]
    return EventSounds(
        sounds.events / excess,
        sounds.first_background / excess,
        sounds.second_background / excess,
        sounds.labels,
    )


def mix_at(sounds: EventSounds, snr_db: float) -> MixedEvents:
    """Quadruples at a ratio; the same samples of an event are added to both of its backgrounds.

    The louder of the two keeps its level, the other one is lowered: an event 20 dB above a
    background of -32 dB would clip, and with all else 20 dB lower, figures at 0 dB would not be
    those of `mix_events`, since the logarithm of an encoder's front end has a floor.
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


def _peaks(mixed: MixedEvents) -> Float[Tensor, " event"]:
    sides = [getattr(mixed, field.name).abs().amax(1) for field in fields(mixed)]
    return torch.stack(sides).amax(0)
