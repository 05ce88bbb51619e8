"""Embeddings of quadruples by a frozen encoder, over all ratios."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.evaluation.additivity.measures import additivity
from byola_diff.evaluation.additivity.mixing import EventSounds, gains, mix_at
from byola_diff.evaluation.additivity.quadruples import AdditivityProtocol, Sources, event_sounds

Embed = Callable[[Float[Tensor, "batch sample"]], Float[Tensor, "batch dim"]]
"""An encoder's `scene` function."""

Quadruples = tuple[Tensor, Tensor, Tensor, Tensor]
"""Embeddings [event, dim] of A, A + T, C and C + T."""


def additivity_of(
    embed: Embed, sample_rate: int, n_events: int = 200, seed: int = 0, duration_s: float = 2.0
) -> dict[str, float]:
    """All figures of an encoder on procedural sounds, at 0 dB."""
    protocol = AdditivityProtocol(n_events, (0.0,), duration_s)
    [(_, embedded)] = embed_over_snr(embed, _procedural_sounds(protocol, seed, sample_rate), (0.0,))
    return additivity(*embedded)


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
    backgrounds: dict[float, tuple[Tensor, Tensor]] = {}
    for snr_db in snrs_db:
        first, first_mixture, second, second_mixture = mix_at(sounds, snr_db)
        level, _ = gains(snr_db)
        if level not in backgrounds:
            backgrounds[level] = (
                embed_all(embed, first, batch_size, device),
                embed_all(embed, second, batch_size, device),
            )
        mixtures = (
            embed_all(embed, first_mixture, batch_size, device),
            embed_all(embed, second_mixture, batch_size, device),
        )
        yield snr_db, (backgrounds[level][0], mixtures[0], backgrounds[level][1], mixtures[1])


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
    return torch.cat([embed(batch.to(device)).float().cpu() for batch in batches])


@lru_cache(1)
def _procedural_sounds(protocol: AdditivityProtocol, seed: int, sample_rate: int) -> EventSounds:
    """Sounds that several encoders are measured on, one after another."""
    return event_sounds(Sources(), protocol, seed, sample_rate)
