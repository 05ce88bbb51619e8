"""What a source of training clips is.

A crop is a function of (seed, epoch, clip). Hence neither the kind of the source nor the number of
loader workers changes anything.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from byola_diff.clips.rejected import Rejection


class ClipSource:
    """Numbered clips, of which it gives one crop per epoch as waveforms in [-1, 1].

    Clips shorter than the crop are padded with zeros on the right.
    """

    sample_rate: int
    n_clips: int
    endless = False
    """Whether any index is a clip, so that there is no pass over all of them."""
    on_device = False
    """Whether `batch` makes the waveform on a device, so that no loader is needed."""

    def batch(
        self, epoch: int, clips: Int[Tensor, " batch"], device: torch.device | str = "cpu"
    ) -> Float[Tensor, "batch sample"]:
        """Crops of the given clips in their order, on `device`."""
        raise NotImplementedError

    def take_rejected(self) -> list[Rejection]:
        """Files that could not be read since the last call, each once for each time it was met."""
        return []
