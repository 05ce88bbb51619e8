"""Figures of additivity: embeddings of quadruples over all ratios, and what they say.

For an event T and two backgrounds A and C the *movements* are f(A + T) - f(A) and f(C + T) - f(C).
Centred movements are brought to unit length and then have the mean over all events of their side
subtracted, so that what any event does to any background does not count. Without unit length all
events that move an embedding little would be alike: what remains of them is the mean, reversed. The
figures are:

- `cosine`, `raw_cosine`: between the two movements of one event, averaged over events, of centred
  movements and of raw ones: 1 if the encoder is additive. Centred, it is 0 but for chance if
  movements have nothing in common; raw, it may be high for what all events have in common;
- `recall@1`, `recall@5`: how often, among all movements of the other side, that of the same event
  is one of the k most alike, by centred cosine. Both directions are averaged. Chance is k / events.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn.functional import normalize

from byola_diff.evaluation.additivity.quadruples import EventSounds, gains, mix_at
from byola_diff.scores.recall import pessimistic_ranks, recall_at_k

Embed = Callable[[Float[Tensor, "batch sample"]], Float[Tensor, "batch dim"]]
"""An encoder's `scene` function."""

Quadruples = tuple[Tensor, Tensor, Tensor, Tensor]
"""Embeddings [event, dim] of A, A + T, C and C + T."""

RECALLS = {"recall@1": 1, "recall@5": 5}
"""How many candidates each of them takes."""
METRICS = ("cosine", "raw_cosine", *RECALLS)
"""The main one first."""

_ROUNDING = 1e-5
"""Movements shorter than this share of the embeddings are rounding errors and count as none, and so
are centred ones shorter than this."""


def embed_over_snr(
    embed: Embed,
    sounds: EventSounds,
    snrs_db: Sequence[float],
    batch_size: int = 50,
    device: torch.device | str = "cpu",
) -> Iterator[tuple[float, Quadruples]]:
    """Each ratio with the embeddings of its quadruples.

    Backgrounds are embedded once per level: those of all ratios up to 0 dB are the same.
    """
    embedded = partial(embed_all, embed, batch_size=batch_size, device=device)
    backgrounds: dict[float, list[Tensor]] = {}
    for snr_db in snrs_db:
        mixed = mix_at(sounds, snr_db)
        level, _ = gains(snr_db)
        if level not in backgrounds:
            backgrounds[level] = [embedded(side) for side in mixed[::2]]
        first, second = backgrounds[level]
        yield snr_db, (first, embedded(mixed.first_mixture), second, embedded(mixed.second_mixture))


def counted(embed: Embed, count: Callable[[int], object]) -> Embed:
    """The same function, which calls `count` with the number of clips that it has embedded."""

    def embed_and_count(waveforms: Tensor) -> Tensor:
        embeddings = embed(waveforms)
        count(len(waveforms))
        return embeddings

    return embed_and_count


def clips_over_snr(n_events: int, snrs_db: Sequence[float]) -> int:
    """Number of clips that `embed_over_snr` embeds."""
    n_levels = len({gains(snr_db)[0] for snr_db in snrs_db})
    return 2 * n_events * (n_levels + len(snrs_db))


@torch.inference_mode()
def embed_all(
    embed: Embed,
    waveforms: Float[Tensor, "clip sample"],
    batch_size: int,
    device: torch.device | str,
) -> Float[Tensor, "clip dim"]:
    """Embeddings on the CPU in float32, computed in batches on `device`."""
    batches = waveforms.split(batch_size)
    return torch.cat([embed(batch.to(device, copy=True)).float().cpu() for batch in batches])


def additivity(
    first_background: Float[Tensor, "event dim"],
    first_mixture: Float[Tensor, "event dim"],
    second_background: Float[Tensor, "event dim"],
    second_mixture: Float[Tensor, "event dim"],
) -> dict[str, float]:
    """All figures of `METRICS` from embeddings. Ties in recall count against the encoder.

    Raises:
        ValueError: If there are fewer than two events, or an embedding is not finite.
    """
    embeddings = (first_background, first_mixture, second_background, second_mixture)
    if len(first_background) < 2:
        raise ValueError("additivity is measured over at least two events")
    if not all(side.isfinite().all() for side in embeddings):
        raise ValueError("an embedding is NaN or infinite")
    first, second = unit_movements(embeddings)
    cosines = movement_cosines(embeddings)
    figures = {
        "cosine": cosines.diagonal().mean().item(),
        "raw_cosine": (first * second).sum(1).mean().item(),
    }
    own = torch.arange(len(cosines))
    # As many queries either way: their share is the mean of both.
    ranks = torch.cat([pessimistic_ranks(way, own) for way in (cosines, cosines.T)])
    return figures | {name: recall_at_k(ranks, k) for name, k in RECALLS.items()}


def movement_cosines(embedded: Quadruples) -> Float64[Tensor, "first second"]:
    """Cosines of all centred movements over the first backgrounds with all over the second ones.

    The largest of row k is at the event that the movement of event k finds; at k, if it is right.
    """
    first, second = unit_movements(embedded)
    return _centred_directions(first) @ _centred_directions(second).T


def unit_movements(
    embedded: Quadruples,
) -> tuple[Float64[Tensor, "event dim"], Float64[Tensor, "event dim"]]:
    """Movements over the first and second backgrounds, of length 1; 0 where there is none."""
    embeddings = torch.stack(embedded).double()
    shortest = _ROUNDING * embeddings.norm(dim=-1).mean().item()
    first, second = embeddings[1] - embeddings[0], embeddings[3] - embeddings[2]
    return _directions(first, shortest), _directions(second, shortest)


def centred(movements: Float[Tensor, "event dim"]) -> Float[Tensor, "event dim"]:
    """Movements about their mean over all events."""
    return movements - movements.mean(0)


def _directions(
    movements: Float[Tensor, "event dim"], shortest: float
) -> Float[Tensor, "event dim"]:
    """Unit vectors; zero where there is no movement."""
    return normalize(movements, dim=1) * (movements.norm(dim=1, keepdim=True) > shortest)


def _centred_directions(directions: Float[Tensor, "event dim"]) -> Float[Tensor, "event dim"]:
    """Unit vectors about the mean; zero where there was no movement."""
    return _directions(centred(directions), _ROUNDING) * directions.any(dim=1, keepdim=True)
