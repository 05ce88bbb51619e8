"""Curves over time: phases in cycles and what to make of them, envelopes, slow wandering."""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from byola_diff.sounds.inputs import Draw, TimeAxis

_CURVE_STEP = 64


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


def struck(
    seconds: Float[Tensor, "batch sample"],
    attack_s: Float[Tensor, "batch 1"] | float,
    decay_s: Float[Tensor, "batch 1"],
) -> Float[Tensor, "batch sample"]:
    """Quick rise from 0 at second 0, then exponential fall; 0 before."""
    since = seconds.clamp(min=0)
    return (1 - torch.exp(-since / attack_s)) * torch.exp(-since / decay_s)


def sustained(
    seconds: Float[Tensor, "batch sample"],
    length_s: Float[Tensor, "batch 1"],
    attack_s: Float[Tensor, "batch 1"],
    release_s: Float[Tensor, "batch 1"],
) -> Float[Tensor, "batch sample"]:
    """Smooth rise to 1, and fall to 0 that ends `length_s` after the start."""
    line = torch.minimum(seconds / attack_s, (length_s - seconds) / release_s).clamp(0, 1)
    return line * line * (3 - 2 * line)


def wander(
    draw: Draw, name: str, time: TimeAxis, rate_hz: Float[Tensor, "batch 1"]
) -> Float[Tensor, "batch sample"]:
    """Smooth random curve in [-1, 1] that turns about `rate_hz` times a second, of any length."""
    n_knots = time.n_samples // _CURVE_STEP + 2
    # Slow, so evaluated at every 64th sample and drawn out by straight lines.
    knot_s = torch.arange(n_knots, device=rate_hz.device) * (_CURVE_STEP / time.sample_rate)
    spread = draw.uniform(f"{name}_spread", 0.4, 1.3, count=3) * rate_hz
    start = draw.uniform(f"{name}_start", 0, 2 * math.pi, count=3)
    angle = 2 * math.pi * rearrange(spread, "b k -> b k 1") * knot_s + start[:, :, None]
    knots = rearrange(torch.sin(angle).mean(1), "b k -> b 1 k")
    size = (n_knots - 1) * _CURVE_STEP + 1
    curve = F.interpolate(knots, size=size, mode="linear", align_corners=True)
    return curve[:, 0, : time.n_samples]
