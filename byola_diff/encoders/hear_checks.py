"""What the HEAR API asks of a model, checked on its answers to one second of sound.

Source:
    The HEAR validator, https://github.com/hearbenchmark/hear-validator
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

SAMPLE_RATES = (16_000, 22_050, 32_000, 44_100, 48_000)
"""Hz; those at which HEAR gives its tasks."""

_SIZES = ("scene_embedding_size", "timestamp_embedding_size")

_CLIP_MS = 1000
_SPACING_TOLERANCE_MS = 1.0
_SAME = 1e-4
"""Share of the largest value of a clip: another order of summation changes less, a normalisation
more."""


def check_model(name: str, model: Any) -> None:
    """The model is a torch module with a rate and sizes.

    Raises:
        ValueError: If it is no nn.Module, its rate is none of HEAR, or a size is missing or not a
            positive whole number.
    """
    if not isinstance(model, nn.Module):
        # Its weights could neither be moved to a device nor be distinguished from others.
        raise ValueError(
            f"{name}.load_model must return a torch.nn.Module, not {type(model).__name__}"
        )
    rate = getattr(model, "sample_rate", None)
    if rate not in SAMPLE_RATES:
        raise ValueError(
            f"{name} is no HEAR module: sample_rate of its model must be one of "
            f"{', '.join(map(str, SAMPLE_RATES))}, not {rate!r}"
        )
    for attribute in _SIZES:
        value = getattr(model, attribute, None)
        if not isinstance(value, int) or value < 1:
            raise ValueError(
                f"{name} is no HEAR module: {attribute} of its model must be a positive whole "
                f"number, not {value!r}"
            )


def check_scene(name: str, embeddings: Any, size: int) -> None:
    """Scene embeddings of two clips have the type and sizes of the API.

    Raises:
        ValueError: If not.
    """
    what = f"{name}.get_scene_embeddings"
    _check_values(what, embeddings)
    if tuple(embeddings.shape) != (2, size):
        raise _wrong_shape(what, embeddings, f"[2, {size}]")


def check_timestamps(name: str, embeddings: Any, centers_ms: Any, size: int) -> None:
    """Timestamp embeddings of two clips of one second, and their times, are those of the API.

    Raises:
        ValueError: If type, sizes or times are wrong, or the times look like seconds.
    """
    what = f"{name}.get_timestamp_embeddings"
    _check_values(what, embeddings)
    if embeddings.ndim != 3 or embeddings.shape[::2] != (2, size) or embeddings.shape[1] == 0:
        raise _wrong_shape(what, embeddings, f"[2, frames, {size}]")
    if centers_ms.shape != embeddings.shape[:2]:
        raise _wrong_shape(what, centers_ms, f"{list(embeddings.shape[:2])} as timestamps")
    for times in centers_ms:
        _check_times(what, times)


def differs(first: Tensor, second: Tensor) -> bool:
    """Whether two answers to the same clips are different beyond rounding, for any of the clips."""
    if first.shape != second.shape:
        return True
    first, second = first.flatten(start_dim=1), second.flatten(start_dim=1)
    scale = second.abs().amax(dim=1, keepdim=True)
    return bool(((first - second).abs() > _SAME * scale).any())


def _check_values(what: str, embeddings: Any) -> None:
    if not isinstance(embeddings, Tensor) or embeddings.dtype != torch.float32:
        found = getattr(embeddings, "dtype", type(embeddings).__name__)
        raise ValueError(f"{what} must give a torch tensor of float32, not {found}")
    if not embeddings.isfinite().all():
        raise ValueError(f"{what} gives NaN or infinite values for noise")


def _check_times(what: str, times_ms: Float[Tensor, " frame"]) -> None:
    last = times_ms[-1].item()
    if 0 < last <= _CLIP_MS / 1000:
        raise ValueError(
            f"{what}: the last timestamp of a clip of {_CLIP_MS} ms is {last:.4g}: in seconds? "
            "They must be in milliseconds"
        )
    if times_ms.min() < 0 or last > _CLIP_MS + _SPACING_TOLERANCE_MS:
        raise ValueError(
            f"{what}: timestamps from {times_ms.min().item():.4g} to {last:.4g} leave the clip of "
            f"{_CLIP_MS} ms: they must be centres of frames in milliseconds"
        )
    spacing = times_ms.diff()
    if len(spacing) and (spacing - spacing.mean()).abs().max() > _SPACING_TOLERANCE_MS:
        raise ValueError(
            f"{what}: timestamps must be evenly spaced, not {spacing.min().item():.4g} to "
            f"{spacing.max().item():.4g} ms apart"
        )
    if len(spacing) and spacing.mean() <= 0:
        raise ValueError(f"{what}: timestamps do not grow")


def _wrong_shape(what: str, found: Tensor, expected: str) -> ValueError:
    return ValueError(
        f"{what}: two clips of one second gave {list(found.shape)}, expected {expected}"
    )
