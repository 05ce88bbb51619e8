"""One normalised log-mel batch to its two views: the order of the augmentations is decided here."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.audio.normalize import Views, normalize_views
from byola_diff.augment.crop import RandomResizeCrop
from byola_diff.augment.fader import RandomFader
from byola_diff.augment.mixup import MixupMemory, RandomMixup


class ViewMaker(nn.Module):
    """Mixup, random resize crop, random linear fader, each drawn anew for each clip and view."""

    def __init__(
        self,
        n_mels: int,
        n_frames: int,
        mixup_share: float = 0.2,
        mixup_memory: int = 2048,
        fader_gain: float = 1.0,
        synchronized: bool = False,
    ) -> None:
        """Build the parts; `synchronized` views are normalised together with other processes'."""
        super().__init__()
        self.mixup = RandomMixup(MixupMemory(n_mels, n_frames, mixup_memory), mixup_share)
        self.crop = RandomResizeCrop()
        self.fader = RandomFader(fader_gain)
        self.synchronized = synchronized

    @property
    def memory(self) -> MixupMemory:
        """What clips are mixed with; registered once, below `mixup`."""
        return self.mixup.memory

    def forward(
        self, log_mel: Float[Tensor, "batch 1 mel frame"], generator: torch.Generator
    ) -> Views:
        """Two independent views of the batch, normalised together; the batch joins the memory."""
        first, second = (
            self.fader(self.crop(self.mixup(log_mel, generator), generator), generator)
            for _ in range(2)
        )
        self.memory.write(log_mel)
        return normalize_views(first, second, self.synchronized)
