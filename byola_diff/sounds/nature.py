"""Backgrounds of weather, water and insects: stationary, of any length."""

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.sounds.curves import phase, pulses, sine, wander
from byola_diff.sounds.events import kernel_seconds, modes, random_hits, rung
from byola_diff.sounds.inputs import Draw, TimeAxis
from byola_diff.sounds.spectra import band, filtered, peaks, shaped_noise, tilt


def rain(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Many drops on a surface with a few modes, over a hiss."""
    frequency_hz = draw.log_uniform("surface_hz", 500, 7000, count=6)
    decay_s = draw.log_uniform("decay_s", 0.001, 0.012).expand(-1, 6)
    gain = draw.uniform("gains", -1, 1, count=6)
    drop = modes(kernel_seconds(time, 0.06), frequency_hz, decay_s, gain, time.sample_rate)
    drops = random_hits(draw, "drops", time, draw.log_uniform("rate_hz", 40, 1200))
    hiss = shaped_noise(draw, "hiss", time, tilt(time, draw.uniform("slope_db_per_octave", -4, 3)))
    shower = level(rung(time, drops, drop, wrap=True))
    return shower + draw.log_uniform("hiss_gain", 0.05, 1) * hiss


def crackle(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Fire or an old record: sparse sharp clicks over a low murmur."""
    seconds = kernel_seconds(time, 0.03)
    snap = draw.noise("snap", len(seconds))
    snap = snap * torch.exp(-seconds / draw.log_uniform("snap_s", 5e-4, 5e-3))
    pops = random_hits(draw, "pops", time, draw.log_uniform("rate_hz", 12, 150))
    low_hz = draw.log_uniform("murmur_hz", 40, 300)
    murmur = shaped_noise(draw, "murmur", time, band(time, low_hz, 3 * low_hz, order=2))
    fire = level(rung(time, pops, snap, wrap=True))
    return fire + draw.log_uniform("murmur_gain", 0.05, 1) * murmur


def wind(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Gusts: low noise whose whistling part swells with its strength."""
    gust = 0.5 + 0.5 * wander(draw, "gust", time, draw.log_uniform("gust_hz", 0.4, 2))
    low_hz = draw.log_uniform("low_hz", 60, 400)
    rumble = shaped_noise(draw, "rumble", time, band(time, 0.3 * low_hz, low_hz, order=2))
    whistle_hz = low_hz * draw.log_uniform("whistle", 2, 8, count=2)
    howl_shape = peaks(time, whistle_hz, 0.1 * whistle_hz, torch.ones_like(whistle_hz))
    howl = shaped_noise(draw, "howl", time, howl_shape)
    howl_gain = draw.log_uniform("howl_gain", 0.1, 1.5)
    return rumble * (0.4 + gust) + howl_gain * howl * gust * gust


def sea(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Waves: bright foam that breaks and drains over a dull roar."""
    cycles = phase(draw.log_uniform("wave_hz", 0.5, 1.5), time)
    surge, start = draw.uniform("surge", 1, 3), draw.uniform("start", 0, 1)
    swell = torch.exp(surge * (sine(cycles + start) - 1))
    corner_hz = draw.log_uniform("corner_hz", 200, 1200)
    roar = shaped_noise(draw, "roar", time, band(time, 0.2 * corner_hz, corner_hz, order=2))
    foam_gain = tilt(time, draw.uniform("slope_db_per_octave", -4, 2))
    foam = shaped_noise(draw, "foam", time, foam_gain * band(time, corner_hz, 12 * corner_hz))
    return roar * (0.5 + swell) + draw.log_uniform("foam_gain", 0.3, 2) * foam * swell


def stream(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Running water: crowds of bubbles of three sizes over a soft rush."""
    seconds = kernel_seconds(time, 0.1)
    pitch_hz = draw.log_uniform("pitch_hz", 300, 3000, count=3)
    rise = draw.uniform("rise", 0.5, 8)
    water = torch.zeros_like(time.seconds)
    for size in range(3):
        bubble_hz = pitch_hz[:, size, None] * (1 + rise * seconds)
        bubble = torch.sin(2 * torch.pi * bubble_hz * seconds) * torch.exp(-seconds / 0.012)
        rate_hz = draw.log_uniform(f"rate_{size}_hz", 8, 150)
        bubbles = random_hits(draw, f"bubbles_{size}", time, rate_hz)
        water = water + level(rung(time, bubbles, bubble, wrap=True))
    low_hz = pitch_hz[:, :1]
    rush = shaped_noise(draw, "rush", time, band(time, low_hz, 4 * low_hz, order=2))
    return water + draw.log_uniform("rush_gain", 0.1, 1.5) * rush


def waterfall(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Broad steady rush with a few broad humps and a light flutter."""
    humps_hz = draw.log_uniform("humps_hz", 150, 6000, count=3)
    slope = tilt(time, draw.uniform("slope_db_per_octave", -7, 0))
    hump_gain = draw.uniform("hump_gain", 0.2, 2, count=3)
    gain = slope + peaks(time, humps_hz, 0.4 * humps_hz, hump_gain)
    flutter = wander(draw, "flutter", time, draw.uniform("flutter_hz", 3, 9))
    return shaped_noise(draw, "rush", time, gain) * (1 + 0.25 * flutter)


def crickets(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Two insects: high narrow tones, pulsed fast inside slower chirps."""
    field = torch.zeros_like(time.seconds)
    for insect in ("near", "far"):
        pitch_hz = draw.log_uniform(f"{insect}_pitch_hz", 2200, 7000)
        wing = sine(phase(draw.log_uniform(f"{insect}_wing_hz", 15, 70), time))
        chirp = sine(phase(draw.log_uniform(f"{insect}_chirp_hz", 1.5, 8), time))
        steady = draw.uniform(f"{insect}_steady", -0.8, 1)
        gate = torch.sigmoid(8 * (chirp + steady)) * torch.sigmoid(4 * wing)
        gain = draw.log_uniform(f"{insect}_gain", 0.1, 1)
        field = field + gain * gate * sine(phase(pitch_hz, time))
    air = shaped_noise(draw, "air", time, tilt(time, draw.uniform("slope_db_per_octave", -8, 0)))
    return field + draw.log_uniform("air_gain", 0.01, 0.2) * air


def bees(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Three buzzing wings that wander in pitch and come and go."""
    pitch_hz = draw.log_uniform("pitch_hz", 110, 450)
    swarm = torch.zeros_like(time.seconds)
    for bee in range(3):
        own_hz = pitch_hz * draw.uniform(f"detune_{bee}", 0.85, 1.2)
        path = wander(draw, f"path_{bee}", time, draw.uniform(f"path_{bee}_hz", 0.8, 4))
        cycles = phase(own_hz * (1 + 0.08 * path), time)
        wing = pulses(cycles, own_hz, draw.log_uniform(f"sharpness_{bee}", 4, 80), time)
        swarm = swarm + wing * (0.7 + 0.5 * path)
    low_hz = draw.log_uniform("low_hz", 120, 900)
    return filtered(time, swarm, band(time, low_hz, 8 * low_hz, order=2))


def level(waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch sample"]:
    """Waveform at a root mean square of 1, so that parts can be weighed against each other."""
    return waveform / waveform.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-9)
