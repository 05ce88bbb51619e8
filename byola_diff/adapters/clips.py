"""Clips as suites hand them over, of any rate, channels and length, for an encoder."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from byola_diff.audio.resample import resample
from byola_diff.audio.waveform import as_waveform, checked_waveform
from byola_diff.encoders.contract import Encoder

_TRIAL_S = 10


def encoder_waveform(
    samples: Any, from_rate: int, to_rate: int
) -> Float32[Tensor, " encoder_sample"]:
    """Mono waveform at `to_rate`, where the samples are; one zero where there is no sample.

    Args:
        samples: Array or tensor, [sample] or [channel, sample], in [-1, 1] or of 16 bits. Channels
            are averaged.
        from_rate: Hz.
        to_rate: Hz.

    Raises:
        TypeError: If samples are neither floating-point nor of 16 bits.
        ValueError: If the shape is another, or a sample is NaN or infinite.
    """
    # Copied, as arrays that are read from files can't be written to, of which PyTorch warns.
    tensor = samples if isinstance(samples, Tensor) else torch.from_numpy(np.array(samples))
    tensor = as_waveform(tensor)
    if not tensor.numel():
        return torch.zeros(1, device=tensor.device)
    mono = checked_waveform(tensor[None] if tensor.ndim == 1 else tensor).mean(dim=0)
    if from_rate == to_rate:
        return mono
    resampled = torch.from_numpy(resample(mono.cpu().numpy(), from_rate, to_rate)).to(mono.device)
    return resampled if len(resampled) else mono.new_zeros(1)


def frame_spacing_ms(centers_ms: Float[Tensor, "batch frame"]) -> float:
    """Mean time from one frame to the next, given their centres.

    Raises:
        ValueError: If there is only one frame.
    """
    n_frames = centers_ms.shape[1]
    if n_frames < 2:
        raise ValueError(
            f"the encoder gives one frame for {_TRIAL_S} s: suites want frames in time"
        )
    return (centers_ms[0, -1].item() - centers_ms[0, 0].item()) / (n_frames - 1)


def trial_clip(encoder: Encoder) -> Float32[Tensor, "1 sample"]:
    """Ten seconds of silence, to see the clock of an encoder that is on the CPU."""
    return torch.zeros(1, _TRIAL_S * encoder.sample_rate)
