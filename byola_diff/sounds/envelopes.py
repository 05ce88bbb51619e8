"""Amplitude and parameter curves over time."""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from byola_diff.sounds.draw import Draw
from byola_diff.sounds.time_axis import TimeAxis

_CURVE_STEP = 64


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
