"""Log-mixup: each clip mixed, in the exp domain, with a clip seen before."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from byola_diff.audio.log_mel import log_mix


class MixupMemory(nn.Module):
    """The last `size` inputs, in one ring buffer that follows the device and the checkpoint."""

    clips: Tensor

    def __init__(self, n_mels: int, n_frames: int, size: int = 2048) -> None:
        super().__init__()
        self.size = size
        self.n_written = 0
        """Clips ever written; the next one goes to `n_written % size`."""
        self.register_buffer("clips", torch.zeros(size, 1, n_mels, n_frames))

    def __len__(self) -> int:
        """Clips held now."""
        return min(self.n_written, self.size)

    def write(self, log_mel: Float[Tensor, "batch 1 mel frame"]) -> None:
        """Append the batch; the oldest clips make room."""
        newest = log_mel.detach()[-self.size :]
        start = self.n_written + len(log_mel) - len(newest)
        slots = torch.arange(start, start + len(newest), device=self.clips.device) % self.size
        self.clips[slots] = newest
        self.n_written += len(log_mel)

    def read(self, position: Float[Tensor, " batch"]) -> Float[Tensor, "batch 1 mel frame"]:
        """The clip at each position in [0, 1) of what is held now."""
        slots: Int[Tensor, " batch"] = (position * len(self)).long().clamp_max(len(self) - 1)
        return self.clips[slots]

    def get_extra_state(self) -> int:
        """Write count, for the checkpoint."""
        return self.n_written

    def set_extra_state(self, state: int) -> None:
        """Take the write count back from a checkpoint."""
        self.n_written = state


class RandomMixup(nn.Module):
    """`log_mix` with a share in [0, max_share) of a clip drawn from the memory, for each clip.

    Leaves the batch as it is while the memory is empty. Does not write to the memory: both views of
    a batch draw from the clips before it, which are then written once.

    Differs from the released code, which walks the batch clip by clip and writes each clip twice:
    there a second view may be mixed with its own twin, and the memory spans half as many clips.

    Source:
        Niizumi et al., 2021, "BYOL for Audio", Eq. 4 (log-mixup-exp).
    """

    def __init__(self, memory: MixupMemory, max_share: float) -> None:
        super().__init__()
        self.memory, self.max_share = memory, max_share

    def forward(
        self, log_mel: Float[Tensor, "batch 1 mel frame"], generator: torch.Generator
    ) -> Float[Tensor, "batch 1 mel frame"]:
        """Mixed batch."""
        draws = torch.rand(2, len(log_mel), device=log_mel.device, generator=generator)
        if len(self.memory) == 0 or self.max_share == 0:
            return log_mel
        return log_mix(log_mel, self.memory.read(draws[0]), draws[1] * self.max_share)
