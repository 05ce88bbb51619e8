"""What a source of training clips is.

A crop is a function of (seed, epoch, clip). Hence neither the kind of the source nor the number of
loader workers changes anything.
"""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from byola_diff.clips.rejected import Rejection


@runtime_checkable
class ClipSource(Protocol):
    """Numbered clips, of which it gives one crop per epoch as waveforms in [-1, 1].

    Clips shorter than the crop are padded with zeros on the right.
    """

    sample_rate: int
    n_clips: int
    endless: bool
    """Whether any index is a clip, so that there is no pass over all of them."""
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
