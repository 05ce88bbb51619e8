"""Procedural sounds for additivity: everything runs without a data set at hand."""

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.evaluation.additivity.mixing import MixedEvents, mix_events
from byola_diff.randomness import derive_seed, torch_generator
from byola_diff.sounds import BACKGROUNDS, FOREGROUNDS, render


def procedural_events(
    n_events: int = 200,
    snr_db: float = 0.0,
    seed: int = 0,
    sample_rate: int = 16_000,
    duration_s: float = 2.0,
) -> MixedEvents:
    """`mix_events` of procedural sounds, all different; the two backgrounds are of two families."""
    n_samples = round(duration_s * sample_rate)
    events, _ = render_events(n_events, seed, sample_rate, n_samples)
    return mix_events(events, *render_backgrounds(n_events, seed, sample_rate, n_samples), snr_db)


def render_events(
    n_events: int, seed: int, sample_rate: int, n_samples: int
) -> tuple[Float[Tensor, "event sample"], tuple[str, ...]]:
    """Events and their families, which come in turn, so that each has several events."""
    families = list(FOREGROUNDS)
    labels = [families[number % len(families)] for number in range(n_events)]
    return _render(labels, seed, "event", sample_rate, n_samples), tuple(labels)


def render_backgrounds(
    n_events: int, seed: int, sample_rate: int, n_samples: int
) -> tuple[Float[Tensor, "event sample"], Float[Tensor, "event sample"]]:
    """Two backgrounds per event, of two families."""
    names = list(BACKGROUNDS)
    draws = torch.rand(n_events, 2, generator=torch_generator(seed, "additivity backgrounds"))
    first = (draws[:, 0] * len(names)).long()
    second = (first + 1 + (draws[:, 1] * (len(names) - 1)).long()) % len(names)
    return (
        _render(
            [names[number] for number in first.tolist()], seed, "first", sample_rate, n_samples
        ),
        _render(
            [names[number] for number in second.tolist()], seed, "second", sample_rate, n_samples
        ),
    )


def _render(
    families: list[str], seed: int, side: str, sample_rate: int, n_samples: int
) -> Float[Tensor, "event sample"]:
    index = torch.arange(len(families))
    return render(families, derive_seed(seed, "additivity", side), index, n_samples, sample_rate)
