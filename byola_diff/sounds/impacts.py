"""Foreground events that are struck, dropped, broken or rubbed."""

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.sounds.curves import phase, sine, struck, sustained
from byola_diff.sounds.events import beats, hits, kernel_seconds, local_time, modes, rung
from byola_diff.sounds.inputs import Draw, TimeAxis
from byola_diff.sounds.spectra import band, filtered, peaks, shaped_noise, tilt


def drum(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Beaten skin: a tone that falls as it dies, and the rattle of the snare."""
    period_s, count = draw.log_uniform("period_s", 0.1, 0.5), draw.integer("count", 1, 8)
    since_s = local_time(time.seconds, period_s, count)
    pitch_hz = draw.log_uniform("pitch_hz", 45, 350)
    decay_s = draw.log_uniform("decay_s", 0.03, 0.25)
    bend = 1 + draw.uniform("bend", 0.1, 1.5) * struck(since_s, 1e-3, decay_s / 4)
    skin = sine(phase(pitch_hz * bend, time)) * struck(since_s, 2e-3, decay_s)
    low_hz = draw.log_uniform("snare_hz", 300, 3000)
    snare = shaped_noise(draw, "snare", time, band(time, low_hz, 4 * low_hz, order=2))
    rattle = struck(since_s, 1e-3, decay_s * draw.uniform("snare_decay", 0.2, 1))
    return skin + draw.log_uniform("snare_gain", 0.02, 1) * snare * rattle


def footsteps(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Heel and toe on some floor, from thuds to gravel."""
    seconds = kernel_seconds(time, 0.25)
    grit = draw.noise("grit", len(seconds))
    grit = grit * torch.exp(-seconds / draw.log_uniform("grit_decay_s", 0.008, 0.06))
    thud_hz = draw.log_uniform("thud_hz", 60, 250)
    thud = torch.sin(2 * torch.pi * thud_hz * seconds) * torch.exp(-seconds / 0.03)
    period_s, count = draw.log_uniform("period_s", 0.25, 0.7), draw.integer("count", 2, 6)
    times_s, gain = beats(draw, period_s, count, most=6)
    toe_s = times_s + draw.uniform("toe_s", 0.03, 0.12)
    steps = hits(time, times_s, gain) + draw.uniform("toe", 0.2, 0.9) * hits(time, toe_s, gain)
    walk = rung(time, steps, draw.uniform("thud_gain", 0, 3) * thud + grit)
    low_hz = draw.log_uniform("low_hz", 60, 800)
    return filtered(time, walk, band(time, low_hz, low_hz * draw.log_uniform("span", 3, 25), 2))


def clapping(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Hands of one to three people: short hollow bursts, none quite like the last."""
    seconds = kernel_seconds(time, 0.12)
    decay_s = draw.log_uniform("decay_s", 0.004, 0.025)
    slap = draw.noise("slap", len(seconds)) * torch.exp(-seconds / decay_s)
    period_s = draw.log_uniform("period_s", 0.09, 0.4)
    times_s, gain = beats(draw, period_s, draw.integer("count", 3, 24), jitter=0.6, most=24)
    hollow_hz = draw.log_uniform("hollow_hz", 700, 2800, count=2)
    gains = peaks(time, hollow_hz, 0.2 * hollow_hz, draw.uniform("hollow_gain", 0.3, 1, count=2))
    return filtered(time, rung(time, hits(time, times_s, gain), slap), gains + 0.05)


def drips(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Drops in water: each a short tone that rises as its bubble closes."""
    seconds = kernel_seconds(time, 0.2)
    pitch_hz, rise = draw.log_uniform("pitch_hz", 350, 2800), draw.uniform("rise", 0.2, 6)
    decay_s = draw.log_uniform("decay_s", 0.008, 0.05)
    bubble = torch.sin(2 * torch.pi * pitch_hz * seconds * (1 + rise * seconds))
    splash = torch.sin(2 * torch.pi * 2.3 * pitch_hz * seconds)
    drop = bubble * torch.exp(-seconds / decay_s) + 0.3 * splash * torch.exp(-seconds / 4e-3)
    period_s, count = draw.log_uniform("period_s", 0.1, 0.6), draw.integer("count", 1, 10)
    return rung(time, hits(time, *beats(draw, period_s, count, jitter=0.7)), drop)


def glass_clink(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Glasses touching: a few high, long, beating modes."""
    lowest_hz = draw.log_uniform("lowest_hz", 900, 3500)
    spacing = draw.uniform("spacing", 0.15, 0.9, count=6).cumsum(1)
    frequency_hz = lowest_hz * (1 + spacing - spacing[:, :1])
    decay_s = draw.log_uniform("decay_s", 0.04, 0.5) * draw.uniform("decays", 0.3, 1, count=6)
    gain = draw.uniform("gains", 0.1, 1, count=6)
    clink = modes(kernel_seconds(time, 1.0), frequency_hz, decay_s, gain, time.sample_rate)
    period_s, count = draw.log_uniform("period_s", 0.05, 0.5), draw.integer("count", 1, 5)
    return rung(time, hits(time, *beats(draw, period_s, count, jitter=0.5)), clink)


def metal_hit(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Cymbal, pan or gong: a crowd of modes in a wash of noise."""
    lowest_hz = draw.log_uniform("lowest_hz", 120, 1500)
    frequency_hz = lowest_hz * draw.log_uniform("spacing", 1, 12, count=12)
    decay_s = draw.log_uniform("decay_s", 0.15, 1.2)
    gain = draw.uniform("gains", -1, 1, count=12)
    seconds = kernel_seconds(time, 1.5)
    body = modes(seconds, frequency_hz, decay_s.expand(-1, 12), gain, time.sample_rate)
    wash = draw.noise("wash", len(seconds)) * torch.exp(-2 * seconds / decay_s)
    period_s, count = draw.log_uniform("period_s", 0.2, 0.8), draw.integer("count", 1, 3)
    plate = body + draw.log_uniform("wash_gain", 0.05, 2) * wash
    struck_plate = rung(time, hits(time, *beats(draw, period_s, count, most=3)), plate)
    return filtered(time, struck_plate, band(time, 0.7 * lowest_hz, 30 * lowest_hz, order=2))


def knocking(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Knuckles on wood: short low modes, two to six times."""
    frequency_hz = draw.log_uniform("lowest_hz", 90, 500) * draw.uniform("spacing", 1, 5, count=6)
    decay_s = draw.log_uniform("decay_s", 0.008, 0.05).expand(-1, 6)
    gain = draw.uniform("gains", 0.2, 1, count=6)
    seconds = kernel_seconds(time, 0.3)
    wood = modes(seconds, frequency_hz, decay_s, gain, time.sample_rate)
    snap = draw.noise("snap", len(seconds)) * torch.exp(-seconds / 0.003)
    period_s, count = draw.log_uniform("period_s", 0.1, 0.35), draw.integer("count", 2, 6)
    knock = wood + draw.log_uniform("snap_gain", 0.02, 0.4) * snap
    return rung(time, hits(time, *beats(draw, period_s, count, most=6)), knock)


def clock_tick(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Tick and tock in strict time, every other one duller."""
    frequency_hz = draw.log_uniform("frequency_hz", 1200, 6500, count=4)
    decay_s = draw.log_uniform("decay_s", 0.002, 0.015).expand(-1, 4)
    gain = draw.uniform("gains", 0.3, 1, count=4)
    tick = modes(kernel_seconds(time, 0.1), frequency_hz, decay_s, gain, time.sample_rate)
    number = torch.arange(24, device=decay_s.device)
    period_s = draw.log_uniform("period_s", 0.1, 0.5)
    level = torch.where(number % 2 == 0, 1.0, draw.uniform("tock", 0.2, 1))
    level = level * (number < draw.integer("count", 4, 24))
    return rung(time, hits(time, number * period_s, level), tick)


def typing(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Keys or a mouse: fast uneven clicks, each with its release."""
    seconds = kernel_seconds(time, 0.06)
    decay_s = draw.log_uniform("decay_s", 0.001, 0.008)
    body_hz = draw.log_uniform("body_hz", 250, 1500)
    click = draw.noise("click", len(seconds)) * torch.exp(-seconds / decay_s)
    body = torch.sin(2 * torch.pi * body_hz * seconds) * torch.exp(-seconds / 0.008)
    period_s, count = draw.log_uniform("period_s", 0.06, 0.25), draw.integer("count", 3, 16)
    times_s, gain = beats(draw, period_s, count, jitter=0.9, most=16)
    release = draw.uniform("release", 0.1, 0.6) * hits(time, times_s + 0.4 * period_s, gain)
    keys = rung(time, hits(time, times_s, gain) + release, click + body)
    return filtered(time, keys, tilt(time, draw.uniform("slope_db_per_octave", -3, 4)))


def glass_break(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """A crash, then shards: many short high rings that thin out."""
    frequency_hz = draw.log_uniform("shard_hz", 1500, 7000, count=8)
    decay_s = draw.log_uniform("decay_s", 0.01, 0.08, count=8)
    gain = draw.uniform("gains", -1, 1, count=8)
    shard = modes(kernel_seconds(time, 0.4), frequency_hz, decay_s, gain, time.sample_rate)
    late_s = draw.log_uniform("late_s", 0.01, 1, count=40)
    fall = rung(time, hits(time, late_s, draw.log_uniform("sizes", 0.05, 1, count=40)), shard)
    low_hz = draw.log_uniform("crash_hz", 400, 3000)
    crash = shaped_noise(draw, "crash", time, band(time, low_hz, 6 * low_hz, order=2))
    crash = draw.log_uniform("crash_gain", 0.1, 2) * crash
    return fall + crash * struck(time.seconds, 1e-3, draw.log_uniform("crash_decay_s", 0.02, 0.15))


def blast(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Shot, firework, slam: a sharp front, then noise that darkens as it dies."""
    decay_s = draw.log_uniform("decay_s", 0.03, 0.5)
    corner_hz = draw.log_uniform("corner_hz", 150, 2000)
    bright = shaped_noise(draw, "bright", time, band(time, corner_hz, 10 * corner_hz, order=2))
    dark = shaped_noise(draw, "dark", time, band(time, 0.2 * corner_hz, corner_hz, order=2))
    count, period_s = draw.integer("count", 1, 3), draw.log_uniform("period_s", 0.1, 0.8)
    since_s = local_time(time.seconds, period_s, count)
    front = bright * struck(since_s, 5e-4, decay_s / 5)
    return front + draw.log_uniform("dark_gain", 0.1, 1) * dark * struck(since_s, 0.01, decay_s)


def scrape(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Saw, brush or file: strokes of noise whose pitch follows the speed of the hand."""
    stroke_s, count = draw.log_uniform("stroke_s", 0.08, 0.5), draw.integer("count", 2, 8)
    since_s = local_time(time.seconds, stroke_s, count)
    centre_hz = draw.log_uniform("centre_hz", 500, 5000, count=3)
    slow_gain = peaks(time, 0.6 * centre_hz, 0.15 * centre_hz, torch.ones_like(centre_hz))
    fast_gain = peaks(time, centre_hz, 0.25 * centre_hz, torch.ones_like(centre_hz))
    slow = shaped_noise(draw, "slow", time, slow_gain + 0.02)
    fast = shaped_noise(draw, "fast", time, fast_gain + 0.02)
    speed = sine((since_s / stroke_s).clamp(0, 1) / 2)
    # Teeth of the saw: the noise comes in quick pulses.
    depth, teeth_hz = draw.uniform("teeth", 0, 0.9), draw.log_uniform("teeth_hz", 25, 150)
    teeth = 1 + depth * sine(phase(teeth_hz, time))
    back = 1 - draw.uniform("back", 0, 0.8) * (torch.floor(time.seconds / stroke_s) % 2)
    edge_s = 0.2 * stroke_s
    stroke = sustained(since_s, stroke_s * draw.uniform("duty", 0.5, 1), edge_s, edge_s)
    return torch.lerp(slow, fast, speed) * teeth * back * stroke


def creak(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Door or zip: clicks that come faster and slower, through a resonant board."""
    slow_hz, length_s = draw.log_uniform("slow_hz", 8, 60), draw.log_uniform("length_s", 0.25, 1.3)
    progress = (time.seconds / length_s).clamp(0, 1)
    octaves = draw.uniform("octaves", -1.5, 3)
    rate_hz = slow_hz * torch.exp2(octaves * sine(progress / 2))
    cycles = phase(rate_hz, time)
    clicks = (cycles.diff(dim=1, prepend=cycles[:, :1]) < 0).float()  # where a cycle wraps
    frequency_hz = draw.log_uniform("board_hz", 250, 4500, count=6)
    decay_s = draw.log_uniform("decay_s", 0.003, 0.03).expand(-1, 6)
    gain = draw.uniform("gains", -1, 1, count=6)
    board = modes(kernel_seconds(time, 0.15), frequency_hz, decay_s, gain, time.sample_rate)
    edge_s = 0.15 * length_s
    return rung(time, clicks * sustained(time.seconds, length_s, edge_s, edge_s), board)


def crumple(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Paper, bag or steps in leaves: bursts of dry crackles."""
    seconds = kernel_seconds(time, 0.05)
    snap = draw.noise("snap", len(seconds))
    snap = snap * torch.exp(-seconds / draw.log_uniform("snap_s", 5e-4, 4e-3))
    burst_s = draw.log_uniform("burst_s", 0.1, 0.6) * draw.integer("bursts", 1, 3)
    places = draw.uniform("places", 0, 1, count=64)
    sizes = draw.log_uniform("sizes", 0.02, 1, count=64)
    # Squeezed towards three moments: a hand closes in jerks.
    jerked = (torch.floor(3 * places) + torch.frac(3 * places) ** 2) / 3
    crackles = rung(time, hits(time, jerked * burst_s, sizes), snap)
    low_hz = draw.log_uniform("low_hz", 300, 2500)
    return filtered(time, crackles, band(time, low_hz, 4 * low_hz, order=2))
