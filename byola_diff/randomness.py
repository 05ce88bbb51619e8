"""Counter-based randomness: a draw is a function of what it is for, not of earlier draws.

A seed is a hash of (run seed, purpose, step or index, ...). No generator state needs saving,
results do not depend on the number of workers, and any clip of any step can be drawn again alone.
"""

import hashlib

import torch
from jaxtyping import Float, Int
from torch import Tensor

from byola_diff.atomic import UNDECODABLE

_MASK_63 = (1 << 63) - 1


def derive_seed(*parts: int | str) -> int:
    """Seed in [0, 2**63) that depends on every part, as in `derive_seed(0, "views", step)`."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    digest = hashlib.blake2b(text.encode(errors=UNDECODABLE), digest_size=8).digest()
    return int.from_bytes(digest, "little") & _MASK_63


def torch_generator(*parts: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """Torch generator on `device`, seeded by `derive_seed(*parts)`."""
    return torch.Generator(device).manual_seed(derive_seed(*parts))


def counter_uniform(seed: int, counter: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Uniform float32 draws in [0, 1), one per counter: the same in any order, batch or device.

    Source:
        Output function of SplitMix64: Steele et al., 2014, "Fast splittable pseudorandom number
        generators", Fig. 17.
    """
    # Two rounds with the seed between them: were it only added to the counter, seed 1 at counter 1
    # would repeat seed 2 at counter 0.
    key = derive_seed("counter", seed)
    mixed = _mix64(_mix64(counter.long() + 1) ^ key)
    return _shift_right(mixed, 40).to(torch.float32) / (1 << 24)


def _mix64(value: Tensor) -> Tensor:
    value = value * _signed(0x9E3779B97F4A7C15)
    value = (value ^ _shift_right(value, 30)) * _signed(0xBF58476D1CE4E5B9)
    value = (value ^ _shift_right(value, 27)) * _signed(0x94D049BB133111EB)
    return value ^ _shift_right(value, 31)


def _shift_right(value: Tensor, bits: int) -> Tensor:
    """Logical shift: torch shifts int64 arithmetically, so the copied sign bits are cleared."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    """The int64 with the same 64 bits as an unsigned constant."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >= 1 << 63 else value
