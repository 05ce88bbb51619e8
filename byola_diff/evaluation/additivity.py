"""Additivity: does adding a sound move the embedding alike, whatever the background?

For an event T and two backgrounds A and C the *movements* are f(A + T) - f(A) and f(C + T) - f(C).
Each side has its mean over all events subtracted, so that what any event does to any background
does not count. Then two figures:

- the cosine between the two movements of one event, averaged over events: 1 if the encoder is
  additive, about 0 if movements have nothing in common;
- recall@1: how often, among all movements of the other side, the one most alike is that of the same
  event. Both directions are averaged. An encoder that tells nothing apart has 1 / events or less.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from byola_diff.randomness import derive_seed, torch_generator
from byola_diff.sounds import BACKGROUNDS, FOREGROUNDS, render

_ROUNDING = 1e-5
"""Movements shorter than this share of the embeddings are rounding errors and count as none."""

_BACKGROUND_DB = -32.0  # events at ratios up to 0 dB keep their peaks within [-1, 1]
_SPAN_FLOOR_DB = -40.0


@dataclass(frozen=True)
class Additivity:
    """The two figures of the module's head."""

    cosine: float
    recall_at_1: float


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


def additivity(
    first_background: Float[Tensor, "event dim"],
    first_mixture: Float[Tensor, "event dim"],
    second_background: Float[Tensor, "event dim"],
    second_mixture: Float[Tensor, "event dim"],
) -> Additivity:
    """Both figures from embeddings. Ties in recall count against the encoder.

    Raises:
        ValueError: If there are fewer than two events, or an embedding is not finite.
    """
    embeddings = torch.stack([first_background, first_mixture, second_background, second_mixture])
    if embeddings.shape[1] < 2:
        raise ValueError("additivity is measured over at least two events")
    if not embeddings.isfinite().all():
        raise ValueError("an embedding is NaN or infinite")
    embeddings = embeddings.double()
    shortest = _ROUNDING * embeddings.norm(dim=-1).mean()
    first = _directions(embeddings[1] - embeddings[0], shortest)
    second = _directions(embeddings[3] - embeddings[2], shortest)
    cosines = first @ second.T  # [first, second]
    recall = (recall_at_1(cosines) + recall_at_1(cosines.T)) / 2
    return Additivity(cosines.diagonal().mean().item(), recall)


def recall_at_1(similarity: Float[Tensor, "event event"]) -> float:
    """Share of queries (rows) with the own candidate, on the diagonal, above all others."""
    own = similarity.diagonal()
    others = similarity.masked_fill(
        torch.eye(len(similarity), dtype=torch.bool, device=similarity.device), -torch.inf
    )
    return (own > others.amax(dim=1)).double().mean().item()


def measure_additivity(
    embed: Callable[[Float[Tensor, "batch sample"]], Float[Tensor, "batch dim"]],
    mixed: MixedEvents,
    batch_size: int = 50,
) -> Additivity:
    """Both figures for an encoder's `scene` function."""

    def embed_all(waveforms: Tensor) -> Tensor:
        with torch.inference_mode():
            return torch.cat([embed(batch).float().cpu() for batch in waveforms.split(batch_size)])

    return additivity(
        embed_all(mixed.first_background),
        embed_all(mixed.first_mixture),
        embed_all(mixed.second_background),
        embed_all(mixed.second_mixture),
    )


def mix_events(
    events: Float[Tensor, "event sample"],
    first_background: Float[Tensor, "event sample"],
    second_background: Float[Tensor, "event sample"],
    snr_db: float,
) -> MixedEvents:
    """Backgrounds brought to one level, each event added to both of its own as the same samples.

    The ratio is that of the root mean square of the event over its span (from the first to the last
    sample within 40 dB of its peak) to that of the background over the whole clip.

    Raises:
        ValueError: If an event or a background is silent.
    """
    level = 10 ** (_BACKGROUND_DB / 20)
    added = events * (level * 10 ** (snr_db / 20) / _span_rms(events))[:, None]
    first = first_background * (level / _rms(first_background))[:, None]
    second = second_background * (level / _rms(second_background))[:, None]
    return MixedEvents(first, first + added, second, second + added)


def procedural_events(
    n_events: int = 200,
    snr_db: float = 0.0,
    seed: int = 0,
    sample_rate: int = 16_000,
    duration_s: float = 2.0,
) -> MixedEvents:
    """`mix_events` of procedural sounds, all different; the two backgrounds are of two families.

    Families of events come in turn, so that each has several events, with parameters of their own.
    """
    index = torch.arange(n_events)
    n_samples = round(duration_s * sample_rate)
    names = list(BACKGROUNDS)
    draws = torch.rand(2, n_events, generator=torch_generator(seed, "additivity backgrounds"))
    first = (draws[0] * len(names)).long()
    second = (first + 1 + (draws[1] * (len(names) - 1)).long()) % len(names)

    def render_all(families: list[str], side: str) -> Tensor:
        sound_seed = derive_seed(seed, "additivity", side)
        return render(families, sound_seed, index, n_samples, sample_rate)

    events = list(FOREGROUNDS)
    return mix_events(
        render_all([events[number % len(events)] for number in range(n_events)], "event"),
        render_all([names[number] for number in first.tolist()], "first"),
        render_all([names[number] for number in second.tolist()], "second"),
        snr_db,
    )


def _directions(
    movements: Float[Tensor, "event dim"], shortest: Float[Tensor, ""]
) -> Float[Tensor, "event dim"]:
    """Unit vectors of the movements about their mean; zero where there is no movement."""
    centred = movements - movements.mean(0)
    return normalize(centred, dim=1) * (centred.norm(dim=1, keepdim=True) > shortest)


def _rms(waveforms: Float[Tensor, "event sample"]) -> Float[Tensor, " event"]:
    rms = waveforms.double().square().mean(1).sqrt()
    if not (rms > 0).all():
        raise ValueError(f"silent sounds: {(rms == 0).nonzero().flatten().tolist()}")
    return rms.to(waveforms.dtype)


def _span_rms(events: Float[Tensor, "event sample"]) -> Float[Tensor, " event"]:
    """Root mean square from the first to the last sample that is near the peak."""
    _rms(events)
    peak = events.abs().amax(1, keepdim=True)
    loud = (events.abs() >= peak * 10 ** (_SPAN_FLOOR_DB / 20)).int()
    # Between the first and the last loud sample, both running counts are positive.
    inside = (loud.cumsum(1) > 0) & (loud.flip(1).cumsum(1).flip(1) > 0)
    power = (events.double().square() * inside).sum(1) / inside.sum(1)
    return power.sqrt().to(events.dtype)
