"""Periodic waveforms: phase in cycles, and what to make of it."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.sounds.time_axis import TimeAxis


def phase(
    frequency_hz: Float[Tensor, "batch #sample"], time: TimeAxis
) -> Float[Tensor, "batch sample"]:
    """Cycles in [0, 1) of an oscillator whose frequency may change from sample to sample."""
    # In double: after ten seconds at 8 kHz a float32 is off by a hundredth of a cycle.
    cycles_per_sample = frequency_hz.double() / time.sample_rate
    if frequency_hz.shape[-1] == 1:
        count = torch.arange(1, time.n_samples + 1, device=frequency_hz.device)
        return (cycles_per_sample * count).frac().float()
    return cycles_per_sample.cumsum(-1).frac().float()


def sine(cycles: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Sine of a phase in cycles."""
    return torch.sin(cycles * (2 * math.pi))


def harmonics(
    cycles: Float[Tensor, "batch sample"], amplitude: Float[Tensor, "batch harmonic"]
) -> Float[Tensor, "batch sample"]:
    """Sum of sines at the multiples 1, 2, ... of a phase.

    Source:
        Clenshaw, 1955, "A note on the summation of Chebyshev series": two multiplications per
        harmonic where a sine costs many.
    """
    twice_cosine = 2 * torch.cos(cycles * (2 * math.pi))
    last, before_last = torch.zeros_like(cycles), torch.zeros_like(cycles)
    for weight in amplitude.flip(1).split(1, dim=1):
        last, before_last = torch.addcmul(weight - before_last, twice_cosine, last), last
    return last * sine(cycles)


def rolled_off(
    pitch_hz: Float[Tensor, "batch 1"],
    exponent: Float[Tensor, "batch 1"],
    time: TimeAxis,
    count: int = 12,
) -> Float[Tensor, "batch harmonic"]:
    """Amplitude k ** -exponent of harmonic k, and 0 for those too near the Nyquist frequency."""
    number = torch.arange(1, count + 1, device=pitch_hz.device)
    return number**-exponent * (number * pitch_hz < 0.42 * time.sample_rate)


def pulses(
    cycles: Float[Tensor, "batch sample"],
    pitch_hz: Float[Tensor, "batch 1"],
    sharpness: Float[Tensor, "batch 1"],
    time: TimeAxis,
) -> Float[Tensor, "batch sample"]:
    """One smooth pulse per cycle, as of vocal cords, wings or pistons.

    Larger sharpness, narrower pulse: about 2 * sqrt(sharpness) harmonics are strong. It is
    limited so that harmonics above the Nyquist frequency stay below -50 dB.
    """
    limit = (time.sample_rate / (7 * pitch_hz)) ** 2
    pulse = torch.exp(torch.minimum(sharpness, limit) * (torch.cos(cycles * 2 * math.pi) - 1))
    return pulse - pulse.mean(-1, keepdim=True)
