"""Gains over frequency, noise made with them and waveforms filtered by them. All remove DC."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.sounds.inputs import Draw, TimeAxis


def band(
    time: TimeAxis,
    low_hz: Float[Tensor, "batch 1"],
    high_hz: Float[Tensor, "batch 1"],
    order: Literal[2, 4] = 4,
) -> Float[Tensor, "batch bin"]:
    """Gain 1 between two corners, falling outside at 6 * order dB per octave; order is 2 or 4."""
    below, above = (low_hz / time.frequency_hz).square(), (time.frequency_hz / high_hz).square()
    if order == 4:  # squared twice: a general power costs ten times as much
        below, above = below.square(), above.square()
    return 1 / ((1 + below) * (1 + above))


def tilt(
    time: TimeAxis, slope_db_per_octave: Float[Tensor, "batch 1"]
) -> Float[Tensor, "batch bin"]:
    """Straight line in dB over octaves, 1 at 1 kHz, flat below 40 Hz and 0 at 0 Hz."""
    exponent = slope_db_per_octave / (20 * math.log10(2))
    octaves = torch.log(time.frequency_hz.clamp(min=40) / 1000)
    return torch.exp(exponent * octaves) * (time.frequency_hz > 10)


def peaks(
    time: TimeAxis,
    centre_hz: Float[Tensor, "batch peak"],
    width_hz: Float[Tensor, "batch #peak"],
    gain: Float[Tensor, "#batch #peak"],
) -> Float[Tensor, "batch bin"]:
    """Sum of resonances: gain at the centre, half of it one width away."""
    total = torch.zeros(len(centre_hz), len(time.frequency_hz), device=centre_hz.device)
    for index in range(centre_hz.shape[1]):
        centre, width = centre_hz[:, index, None], width_hz[:, index % width_hz.shape[1], None]
        distance = (time.frequency_hz - centre) / width
        total = total + gain[:, index % gain.shape[1], None] / (1 + distance**2)
    return total * (time.frequency_hz > 10)


def filtered(
    time: TimeAxis, waveform: Float[Tensor, "batch sample"], gain: Float[Tensor, "batch bin"]
) -> Float[Tensor, "batch sample"]:
    """Waveform with its spectrum multiplied by a gain, without change of phase."""
    spectrum = torch.fft.rfft(waveform, n=time.n_fft) * gain
    return torch.fft.irfft(spectrum, n=time.n_fft)[:, : time.n_samples]


def shaped_noise(
    draw: Draw, name: str, time: TimeAxis, gain: Float[Tensor, "batch bin"]
) -> Float[Tensor, "batch sample"]:
    """Gaussian noise with the given amplitude spectrum, at a root mean square of 1."""
    # The spectrum of white noise is itself white noise: one transform instead of two.
    values = draw.noise(name, 2 * gain.shape[1])
    parts = values.unflatten(1, (-1, 2))  # [batch, bin, real/imaginary]
    spectrum = torch.view_as_complex(parts.contiguous()) * gain
    power = (2 / time.n_fft) ** 2 * gain.square().sum(1, keepdim=True)
    noise = torch.fft.irfft(spectrum, n=time.n_fft)[:, : time.n_samples]
    return noise / power.clamp(min=1e-20).sqrt()
