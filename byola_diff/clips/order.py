"""Which clips make up a batch, as a function of (seed, epoch, step, rank).

There is no state to save: training goes on from any step of any epoch.
"""

from functools import lru_cache

import torch
from jaxtyping import Int
from torch import Tensor

from byola_diff.randomness import torch_generator


def steps_per_epoch(n_clips: int, batch_size: int, world_size: int = 1) -> int:
    """Whole global batches in one pass over the clips; the rest of the pass is dropped.

    `batch_size` counts the clips per process.

    Raises:
        ValueError: If there are fewer clips than one global batch.
    """
    steps = n_clips // (batch_size * world_size)
    if steps == 0:
        raise ValueError(
            f"{n_clips} clips are fewer than one global batch of {batch_size * world_size} "
            f"({batch_size} clips on each of {world_size} processes): "
            "lower the batch size, use fewer processes or add clips"
        )
    return steps


def batch_indices(
    seed: int, epoch: int, step: int, rank: int, world_size: int, batch_size: int, n_clips: int
) -> Int[Tensor, " batch"]:
    """Clips of one process's batch: its share of slice `step` of the epoch's permutation.

    A global batch holds the same clips on one process as on several with smaller batches.

    Raises:
        ValueError: If `rank` or `step` does not exist, or the clips do not fill a global batch.
    """
    n_steps = steps_per_epoch(n_clips, batch_size, world_size)
    if not 0 <= step < n_steps:
        raise ValueError(f"no step {step} in an epoch of {n_steps} steps")
    if not 0 <= rank < world_size:
        raise ValueError(f"no rank {rank} among {world_size} processes")
    start = (step * world_size + rank) * batch_size
    return _permutation(seed, epoch, n_clips)[start : start + batch_size].clone()


# Two, as data loaders begin the next epoch before the last batch of this one is used up.
@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, n_clips: int) -> Tensor:
    return torch.randperm(n_clips, generator=torch_generator(seed, "order", epoch))
