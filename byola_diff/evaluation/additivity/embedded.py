"""Embeddings of quadruples by a frozen encoder, over all ratios."""

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.evaluation.additivity.measures import Additivity, additivity
from byola_diff.evaluation.additivity.mixing import EventSounds, MixedEvents, gains, mix_at

Embed = Callable[[Float[Tensor, "batch sample"]], Float[Tensor, "batch dim"]]
"""An encoder's `scene` function."""

Quadruples = tuple[Tensor, Tensor, Tensor, Tensor]
"""Embeddings [event, dim] of A, A + T, C and C + T."""


def measure_additivity(embed: Embed, mixed: MixedEvents, batch_size: int = 50) -> Additivity:
    """All figures for an encoder's `scene` function."""
    return additivity(
        embed_all(embed, mixed.first_background, batch_size),
        embed_all(embed, mixed.first_mixture, batch_size),
        embed_all(embed, mixed.second_background, batch_size),
        embed_all(embed, mixed.second_mixture, batch_size),
    )


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
        mixed = mix_at(sounds, snr_db)
        level, _ = gains(snr_db)
        if level not in backgrounds:
            backgrounds[level] = (
                embed_all(embed, mixed.first_background, batch_size, device),
                embed_all(embed, mixed.second_background, batch_size, device),
            )
        first, second = backgrounds[level]
        yield (
            snr_db,
            (
                first,
                embed_all(embed, mixed.first_mixture, batch_size, device),
                second,
                embed_all(embed, mixed.second_mixture, batch_size, device),
            ),
        )


def clips_over_snr(n_events: int, snrs_db: Sequence[float]) -> int:
    """Clips that `embed_over_snr` embeds."""
    n_levels = len({gains(snr_db)[0] for snr_db in snrs_db})
    return 2 * n_events * (n_levels + len(snrs_db))


def embed_all(
    embed: Embed,
    waveforms: Float[Tensor, "clip sample"],
    batch_size: int,
    device: torch.device | str | None = None,
) -> Float[Tensor, "clip dim"]:
    """Embeddings on the CPU in float32, computed in batches on `device`, or where waveforms are."""
    with torch.inference_mode():
        return torch.cat(
            [
                embed(batch if device is None else batch.to(device)).float().cpu()
                for batch in waveforms.split(batch_size)
            ]
        )
