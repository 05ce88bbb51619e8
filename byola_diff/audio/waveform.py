"""What every encoder asks of its input."""

import warnings
from typing import Any

import torch
from torch import Tensor

LOUDEST = 4.0
"""Samples beyond this are no overshoot of a resampler or a mix, but integers cast to float."""

_MOST_CHANNELS, _SHORTEST_RECORDING = 8, 1000
"""So few samples each of so many clips are the channels of one recording."""


def as_waveform(samples: Tensor) -> Tensor:
    """The same samples in [-1, 1] as float32, if they have 16 bits; any others as they are."""
    return samples.float() / 32768 if samples.dtype == torch.int16 else samples


def checked_waveform(waveform: Any) -> Tensor:
    """The waveform `[batch, sample]` as float32; a warning if it is far louder than [-1, 1].

    Raises:
        TypeError: If the samples are not floating-point.
        ValueError: If the shape is not `[batch, sample]`, or a sample is NaN or infinite.
    """
    if not isinstance(waveform, Tensor) or not waveform.is_floating_point():
        kind = waveform.dtype if isinstance(waveform, Tensor) else type(waveform).__name__
        raise TypeError(
            f"waveform must be a float tensor in [-1, 1], not {kind}: "
            "divide 16-bit samples by 32768, use torch.from_numpy on arrays"
        )
    if waveform.ndim != 2 or waveform.numel() == 0:
        raise ValueError(
            f"waveform must be [batch, sample] with at least one of each, not "
            f"{list(waveform.shape)}: pass one mono clip as waveform[None]"
        )
    if waveform.shape[1] <= _MOST_CHANNELS and len(waveform) >= _SHORTEST_RECORDING:
        raise ValueError(
            f"waveform is {list(waveform.shape)}, which looks like [sample, channel], not "
            "[batch, sample]: pass waveform.mean(1)[None] for one mono clip"
        )
    waveform = waveform.float()
    peak = waveform.abs().amax().item()
    if not peak < float("inf"):
        bad = (~waveform.isfinite()).any(dim=1).nonzero().flatten().tolist()
        raise ValueError(f"clips {bad} of the batch hold NaN or infinite samples")
    if peak > LOUDEST:
        warnings.warn(
            f"samples reach {peak:.4g}, expected [-1, 1]: were they scaled?", stacklevel=4
        )
    return waveform
