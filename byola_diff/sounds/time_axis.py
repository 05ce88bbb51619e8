"""The time axis of a batch of clips: a family writes its sound as a function of it."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class TimeAxis:
    """Samples of a batch of clips, each with its own onset."""

    n_samples: int
    sample_rate: int
    onset_s: Tensor
    """[batch, 1]. Zero for backgrounds."""

    @cached_property
    def seconds(self) -> Float[Tensor, "batch sample"]:
        """Seconds since the onset, negative before it."""
        return self.clip_seconds - self.onset_s

    @cached_property
    def clip_seconds(self) -> Float[Tensor, " sample"]:
        """Seconds since the start of the clip."""
        samples = torch.arange(self.n_samples, device=self.onset_s.device)
        return samples.float() / self.sample_rate

    @cached_property
    def n_fft(self) -> int:
        """Size of a quick transform that holds a whole clip."""
        return fast_size(self.n_samples)

    @cached_property
    def frequency_hz(self) -> Float[Tensor, " bin"]:
        """Bin centres of the transform of a clip; the first is a tiny number in place of 0."""
        bins = torch.arange(self.n_fft // 2 + 1, device=self.onset_s.device)
        return (bins.float() * (self.sample_rate / self.n_fft)).clamp(min=1e-3)


def fast_size(n_samples: int) -> int:
    """Smallest even number >= `n_samples` of the form 2, 3, 5, 9 or 15 times a power of two."""
    powers = (1 << exponent for exponent in range(1, n_samples.bit_length() + 1))
    return min(k * power for power in powers for k in (1, 3, 5, 9, 15) if k * power >= n_samples)
