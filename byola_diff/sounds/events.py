"""Repeated events: local time for sounds made anew each time, impulses for sounds that ring."""

import math

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from byola_diff.sounds.inputs import Draw, TimeAxis, fast_size


def local_time(
    seconds: Float[Tensor, "batch sample"],
    period_s: Float[Tensor, "batch 1"],
    n_events: Float[Tensor, "batch 1"],
) -> Float[Tensor, "batch sample"]:
    """Seconds since the latest of `n_events` regular starts; -1 before the first, after the last.

    The last one lasts one period.
    """
    number = torch.floor(seconds / period_s)
    inside = (number >= 0) & (number < n_events)
    return torch.where(inside, seconds - number * period_s, -1.0)


def beats(
    draw: Draw,
    period_s: Float[Tensor, "batch 1"],
    n_events: Float[Tensor, "batch 1"],
    jitter: float = 0.1,
    most: int = 12,
) -> tuple[Float[Tensor, "batch event"], Float[Tensor, "batch event"]]:
    """Times since the onset in seconds, and gains in (0, 1], of more or less regular events.

    There are `most` of each; those past `n_events` have gain 0. `jitter` is in periods.
    """
    number = torch.arange(most, device=period_s.device)
    late = draw.uniform("beat_jitter", 0, jitter, count=most)
    gain = draw.log_uniform("beat_gain", 0.35, 1, count=most)
    return (number + late) * period_s, gain * (number < n_events)


def hits(
    time: TimeAxis, times_s: Float[Tensor, "batch event"], gain: Float[Tensor, "batch event"]
) -> Float[Tensor, "batch sample"]:
    """Impulses at the given times since the onset; those outside the clip are left out."""
    sample = ((times_s + time.onset_s) * time.sample_rate).long()
    inside = (sample >= 0) & (sample < time.n_samples)
    impulses = torch.zeros(len(gain), time.n_samples, device=gain.device)
    return impulses.scatter_add_(1, sample.clamp(0, time.n_samples - 1), gain * inside)


def random_hits(
    draw: Draw, name: str, time: TimeAxis, rate_hz: Float[Tensor, "batch 1"]
) -> Float[Tensor, "batch sample"]:
    """Impulses of random size at random times, `rate_hz` of them a second, for any length."""
    noise = draw.noise(name, time.n_samples)
    # The outermost values of a Gaussian: as rare as asked for, with a few much above the rest.
    threshold = torch.special.ndtri(1 - rate_hz / (2 * time.sample_rate))
    excess = ((noise.abs() - threshold) * threshold).clamp(min=0)
    return torch.sign(noise) * excess.sqrt()


def rung(
    time: TimeAxis,
    impulses: Float[Tensor, "batch sample"],
    kernel: Float[Tensor, "batch kernel"],
    wrap: bool = False,
) -> Float[Tensor, "batch sample"]:
    """Each impulse replaced by a copy of the kernel of its size, cut at the end of the clip.

    With `wrap`, tails run over the end into the start: a stationary sound has no build-up there.
    """
    n_fft = time.n_fft if wrap else fast_size(time.n_samples + kernel.shape[1])
    count = kernel.shape[1]
    # Its last quarter fades: a long ring would else end in a click.
    fade = (4 - 4 * torch.arange(count, device=kernel.device) / count).clamp(max=1)
    spectrum = torch.fft.rfft(impulses, n=n_fft) * torch.fft.rfft(kernel * fade, n=n_fft)
    return torch.fft.irfft(spectrum, n=n_fft)[:, : time.n_samples]


def kernel_seconds(time: TimeAxis, longest_s: float) -> Float[Tensor, " kernel"]:
    """Time axis of a kernel: from 0 to `longest_s`, never longer than the clip."""
    count = min(time.n_samples, max(2, int(longest_s * time.sample_rate)))
    return torch.arange(count, device=time.onset_s.device) / time.sample_rate


def modes(
    seconds: Float[Tensor, " kernel"],
    frequency_hz: Float[Tensor, "batch mode"],
    decay_s: Float[Tensor, "batch mode"],
    gain: Float[Tensor, "batch mode"],
    sample_rate: int,
) -> Float[Tensor, "batch kernel"]:
    """Sum of decaying sines, as of a struck body. Modes too near Nyquist are left out.

    A decaying sine is the imaginary part of exp(rate * t). With t = coarse + fine that is a
    product, and the sum over modes a matrix product: a few hundred exponentials per mode, not
    one per sample. In double, which reduced-precision settings for matrix products leave alone.
    """
    audible = (gain * (frequency_hz < 0.46 * sample_rate)).double()
    rate = torch.complex(-1 / decay_s.double(), 2 * math.pi * frequency_hz.double())
    step = math.isqrt(len(seconds)) + 1
    fine_s = torch.arange(step, device=seconds.device).double() / sample_rate
    fine = torch.exp(rate[:, :, None] * fine_s)  # [batch, mode, fine]
    coarse = torch.exp(rate[:, :, None] * (fine_s * step)) * audible[:, :, None]
    ringing = coarse.real.mT @ fine.imag + coarse.imag.mT @ fine.real  # [batch, coarse, fine]
    return rearrange(ringing, "b c f -> b (c f)")[:, : len(seconds)].float()
