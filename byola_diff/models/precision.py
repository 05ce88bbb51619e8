"""In which precision frozen networks run: float32, or bfloat16 where that is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]

_IS_ASKED_FOR = ContextVar("bfloat16 networks", default=False)


def computes_bfloat16(device_type: str) -> bool:
    """Whether the hardware computes in bfloat16 itself: emulated, it is slower than float32."""
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device_type == "cpu":
        return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return False


def resolved_precision(
    precision: Precision, device: torch.device | str
) -> Literal["float32", "bfloat16"]:
    """What networks run in: for "auto", bfloat16 where the hardware computes it, else float32."""
    if precision != "auto":
        return precision
    return "bfloat16" if computes_bfloat16(torch.device(device).type) else "float32"


@contextmanager
def bfloat16_networks() -> Iterator[None]:
    """A block in which encoders of this package run their networks under bfloat16 autocast.

    Their front ends stay in float32: each switches autocast off for itself, as `LogMel` does. Code
    of others is not known to, and stays in float32 as a whole.
    """
    token = _IS_ASKED_FOR.set(True)
    try:
        yield
    finally:
        _IS_ASKED_FOR.reset(token)


def network_autocast(device_type: str) -> torch.autocast:
    """bfloat16 inside `bfloat16_networks`, else float32, whatever autocast is around it."""
    return torch.autocast(device_type, torch.bfloat16, enabled=_IS_ASKED_FOR.get())
