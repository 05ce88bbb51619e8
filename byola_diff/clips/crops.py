"""Where the crop of a clip starts: the same in every source that holds the same clips."""

import torch
from jaxtyping import Int
from torch import Tensor

from byola_diff.randomness import counter_uniform, derive_seed

_DRAW_BITS = 24  # `counter_uniform` draws multiples of 2**-24


def crop_draws(seed: int, epoch: int, clips: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
    """One whole number in [0, 2**24) for each clip, new in each epoch."""
    uniform = counter_uniform(derive_seed(seed, "crop", epoch), clips)
    return (uniform * (1 << _DRAW_BITS)).long()


def crop_starts(
    draws: Int[Tensor, " batch"], lengths: Int[Tensor, " batch"], crop_samples: int
) -> Int[Tensor, " batch"]:
    """First sample of each crop: uniform over all that fit, the last included; 0 in short clips.

    Whole numbers throughout: a float32 product can round up to one position past the last, and
    differs between devices.
    """
    n_positions = torch.clamp(lengths.long() - crop_samples + 1, min=1)
    return (draws * n_positions) >> _DRAW_BITS
