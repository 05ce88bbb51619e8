"""Which clips make up a batch, and where each is cropped: functions of seed, epoch and step.

There is no state to save: training goes on from any step of any epoch, and the crop of a clip is
the same in every source that holds the same clips.
"""

from functools import lru_cache

import torch
from jaxtyping import Int
from torch import Tensor

from byola_diff.randomness import counter_uniform, derive_seed, torch_generator

_DRAW_BITS = 24  # `counter_uniform` draws multiples of 2**-24


def steps_per_epoch(n_clips: int, batch_size: int, world_size: int = 1) -> int:
    """Whole global batches in one pass over the clips; the rest of the pass is dropped.

    `batch_size` counts the clips per process.

    Raises:
        ValueError: If there are fewer clips than one global batch.
    """
    steps = n_clips // (batch_size * world_size)
    if steps == 0:
        clips = "1 clip is" if n_clips == 1 else f"{n_clips} clips are"
        raise ValueError(
            f"{clips} fewer than one global batch of {batch_size * world_size} "
            f"({batch_size} clips on each of {world_size} processes): "
            "lower --data.batch_size, use fewer processes or add clips"
        )
    return steps


def batch_indices(
    seed: int, epoch: int, step: int, rank: int, world_size: int, batch_size: int, n_clips: int
) -> Int[Tensor, " batch"]:
    """Clips of one process's batch: its share of slice `step` of the epoch's permutation.

    A global batch holds the same clips on one process as on several with smaller batches.
    """
    start = (step * world_size + rank) * batch_size
    return _permutation(seed, epoch, n_clips)[start : start + batch_size].clone()


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


# Two, as data loaders begin the next epoch before the last batch of this one is used up.
@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, n_clips: int) -> Tensor:
    return torch.randperm(n_clips, generator=torch_generator(seed, "order", epoch))
