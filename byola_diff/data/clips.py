"""What a source of training clips is, and its batches in the order of training.

A batch is a function of (seed, epoch, step, rank). Hence the number of loader workers changes
nothing, and a run that starts at step k gets the batches that it would have got.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import Dataset

from byola_diff.data.order import batch_indices, steps_per_epoch
from byola_diff.data.rejected import Rejection


@runtime_checkable
class ClipSource(Protocol):
    """Numbered clips, of which it gives one crop per epoch as waveforms in [-1, 1].

    Clips shorter than the crop are padded with zeros on the right.
    """

    sample_rate: int
    n_clips: int
    on_device: bool
    """Whether `batch` makes the waveform on a device, so that no loader is needed."""

    def batch(
        self, epoch: int, clips: Int[Tensor, " batch"], device: torch.device | str
    ) -> Float[Tensor, "batch sample"]:
        """Crops of the given clips, on `device`."""
        ...


@runtime_checkable
class RejectingSource(Protocol):
    """A source that replaces clips it can't read."""

    def take_rejected(self) -> list[Rejection]:
        """Files rejected since the last call."""
        ...


@dataclass(frozen=True)
class BatchPlan(Dataset):
    """The batches of one epoch on one process, by step.

    For `DataLoader(plan, batch_size=None, sampler=StepSampler(start, len(plan)))`.
    """

    source: ClipSource
    seed: int
    epoch: int
    batch_size: int
    """Clips per process."""
    rank: int = 0
    world_size: int = 1
    device: str = "cpu"
    """Where the waveform is made; loader workers need "cpu"."""

    def __len__(self) -> int:
        """Steps in the epoch."""
        return steps_per_epoch(self.source.n_clips, self.batch_size, self.world_size)

    def __getitem__(self, step: int) -> dict[str, Any]:
        """`waveform` of the step, and `rejected`: the files that had to be replaced in it.

        `rejected` travels with the batch because a loader worker can't reach the main process
        otherwise; give it to the `RejectionLog` there.
        """
        n_clips = self.source.n_clips
        clips = batch_indices(
            self.seed, self.epoch, step, self.rank, self.world_size, self.batch_size, n_clips
        )
        source: object = self.source
        waveform = self.source.batch(self.epoch, clips, self.device)
        rejected = source.take_rejected() if isinstance(source, RejectingSource) else []
        return {"waveform": waveform, "rejected": rejected}
