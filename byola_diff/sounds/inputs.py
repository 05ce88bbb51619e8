"""What a family of sounds is given: named random parameters of a batch of clips, and its time axis.

Each clip's parameters are drawn from its own row of uniforms.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from byola_diff.randomness import counter_uniform, derive_seed, torch_generator

SLOTS = 256
"""Uniforms at the disposal of one clip."""

_TABLE_SIZE = 1 << 21
_TINY = 1e-9
_BELOW_1 = 1 - 2.0**-24
"""The largest float32 below 1."""


def uniform_rows(
    seed: int, indices: Int[Tensor, " batch"], purposes: Sequence[str], moved: float = 0.0
) -> Float[Tensor, "batch slot"]:
    """Uniforms in [0, 1), `SLOTS` for each clip, that depend on (seed, index, purpose) alone.

    Those of a sound a little different are `moved` from them: by normal draws of this deviation,
    reflected at 0 and 1.

    All parameters of a batch come from this one call: a hash per parameter would cost more than
    the sounds do.
    """
    offset_of = {purpose: derive_seed("sounds", purpose) for purpose in purposes}
    offsets = torch.tensor([offset_of[purpose] for purpose in purposes], dtype=torch.long)
    first = indices.long() * SLOTS + offsets.to(indices.device)  # wraps around, as a counter may
    places = first[:, None] + torch.arange(SLOTS, device=indices.device)
    uniforms = counter_uniform(seed, places)
    if moved == 0:
        return uniforms
    draws = counter_uniform(derive_seed(seed, "moved"), places).double()
    steps = torch.special.ndtri(draws.clamp(_TINY, 1 - _TINY)) * moved
    turned = (uniforms + steps).abs() % 2
    return torch.minimum(turned, 2 - turned).float().clamp_max(_BELOW_1)


class Draw:
    """Hands out parameters by name; every method gives one row per clip.

    Slots are used up in the order of the calls, so a family must make the same calls whatever
    the clips are. `named` keeps what was drawn, for tests and for reading a sound's recipe.
    """

    def __init__(self, uniforms: Float[Tensor, "batch slot"]) -> None:
        # In double, so that the last bit of exp() never decides on which sample an event falls.
        self._uniforms = uniforms.double()
        self._used = 0
        self.named: dict[str, Tensor] = {}

    def uniform(
        self, name: str, low: float | int, high: float | int, count: int = 1
    ) -> Float[Tensor, "batch count"]:
        """Values in [low, high)."""
        return self._keep(name, low + (high - low) * self._take(count))

    def log_uniform(
        self, name: str, low: float | int, high: float | int, count: int = 1
    ) -> Float[Tensor, "batch count"]:
        """Values in [low, high), uniform in the logarithm: for pitches, times and rates."""
        return self._keep(name, low * torch.exp(math.log(high / low) * self._take(count)))

    def integer(self, name: str, low: int, high: int) -> Float[Tensor, "batch 1"]:
        """Whole numbers from `low` to `high`, both included, as floats."""
        return self._keep(name, torch.floor(low + (high - low + 1) * self._take(1)))

    def chance(self, name: str, probability: float) -> Float[Tensor, "batch 1"]:
        """1 with the given probability, else 0."""
        return self._keep(name, self._take(1) < probability)

    def noise(self, name: str, count: int) -> Float[Tensor, "batch count"]:
        """White Gaussian noise of unit variance: any number of values for a single slot.

        They come from a drawn place of a fixed table on. Hashing a counter per sample costs about
        ten times the rest of a sound. A table of two million values, filtered and shaped
        differently each time, is random enough that no two clips share a spectrogram, and the same
        on every device. Long requests run over the end of the table into its beginning.
        """
        position = self.named[name] = self._take(1)[:, 0]
        table, start = _table(position.device), (position * _TABLE_SIZE).long()
        if count <= _TABLE_SIZE // 8:
            # A window on the table: several times faster than an index per sample. Starts are
            # taken from the first 7/8, which every window fits behind.
            return table.unfold(0, count, 1)[start * 7 // 8]
        return table[(start[:, None] + torch.arange(count, device=table.device)) % _TABLE_SIZE]

    def _take(self, count: int) -> Tensor:
        start, self._used = self._used, self._used + count
        if self._used > self._uniforms.shape[1]:
            raise RuntimeError(f"a family drew more than {self._uniforms.shape[1]} values")
        return self._uniforms[:, start : self._used]

    def _keep(self, name: str, values: Tensor) -> Tensor:
        if name in self.named:
            raise RuntimeError(f"{name!r} was drawn twice")
        self.named[name] = values.float()
        return self.named[name]


@lru_cache(maxsize=8)
def _table(device: torch.device) -> Tensor:
    values = torch.randn(_TABLE_SIZE, generator=torch_generator("sounds", "white noise"))
    return values.to(device)


@dataclass(frozen=True)
class TimeAxis:
    """Samples of a batch of clips, each with its own onset: a sound is a function of it."""

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
