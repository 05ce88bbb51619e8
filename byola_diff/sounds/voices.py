"""Foreground events from throats: pulses or noise through resonances, and birds."""

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.sounds.curves import phase, pulses, sine, struck, sustained, wander
from byola_diff.sounds.events import local_time
from byola_diff.sounds.inputs import Draw, TimeAxis
from byola_diff.sounds.spectra import band, filtered, peaks, shaped_noise


def throat(draw: Draw, name: str, time: TimeAxis) -> Float[Tensor, "batch bin"]:
    """Gain of a vocal tract with four resonances at random places of a random length."""
    size = draw.log_uniform(f"{name}_size", 0.75, 1.6)
    lowest = draw.log_uniform(f"{name}_first_hz", 280, 850)
    second = draw.log_uniform(f"{name}_second_hz", 900, 2400)
    upper = draw.uniform(f"{name}_upper_hz", 2500, 4500, count=2)
    centre_hz = torch.cat([lowest, second, upper], dim=1) / size
    falling = torch.tensor([[1.0, 0.6, 0.3, 0.2]], device=size.device)
    return peaks(time, centre_hz, draw.uniform(f"{name}_width_hz", 40, 160), falling)


def vowels(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Babble: syllables of a voice that wanders in pitch and between two vowels."""
    pitch_hz = draw.log_uniform("pitch_hz", 80, 350)
    melody = draw.uniform("melody", 0.03, 0.35) * wander(draw, "melody", time, pitch_hz / 80)
    cycles = phase(pitch_hz * (1 + melody), time)
    voice = pulses(cycles, pitch_hz, draw.log_uniform("sharpness", 20, 300), time)
    breath = shaped_noise(draw, "breath", time, band(time, pitch_hz * 4, pitch_hz * 40))
    source = voice + draw.log_uniform("breath_gain", 0.003, 0.1) * breath
    first, second = (filtered(time, source, throat(draw, name, time)) for name in ("ah", "ee"))
    move = wander(draw, "vowel", time, draw.uniform("vowel_hz", 1, 5))
    period_s, count = draw.log_uniform("period_s", 0.12, 0.5), draw.integer("count", 1, 6)
    since_s = local_time(time.seconds, period_s, count)
    length_s = period_s * draw.uniform("duty", 0.5, 1)
    syllable = sustained(since_s, length_s, 0.2 * length_s, 0.4 * length_s)
    return torch.lerp(first, second, (0.5 + move).clamp(0, 1)) * syllable


def bark(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """One to five short rough calls whose pitch rises and falls again."""
    pitch_hz = draw.log_uniform("pitch_hz", 180, 900)
    period_s, count = draw.log_uniform("period_s", 0.15, 0.6), draw.integer("count", 1, 5)
    since_s = local_time(time.seconds, period_s, count)
    length_s = period_s * draw.uniform("duty", 0.3, 0.8)
    arc = sine((since_s / length_s).clamp(0, 1) / 2)
    glide_hz = pitch_hz * (1 + draw.uniform("rise", -0.3, 0.8) * arc)
    sharpness = draw.log_uniform("sharpness", 5, 80)
    voice = pulses(phase(glide_hz, time), 1.8 * pitch_hz, sharpness, time)
    hoarse = shaped_noise(draw, "hoarse", time, band(time, pitch_hz, 8 * pitch_hz))
    rough = voice + draw.log_uniform("hoarse_gain", 0.03, 0.6) * hoarse
    call = sustained(since_s, length_s, 0.1 * length_s, 0.6 * length_s)
    return filtered(time, rough * call, throat(draw, "throat", time))


def meow(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Long call that opens and closes: pitch in an arc, brightness with it."""
    pitch_hz = draw.log_uniform("pitch_hz", 250, 900)
    length_s = draw.log_uniform("length_s", 0.3, 1.2)
    arc = sine((time.seconds / length_s).clamp(0, 1) / 2)
    quiver = 0.02 * sine(phase(draw.uniform("quiver_hz", 4, 12), time))
    glide_hz = pitch_hz * (1 + draw.uniform("rise", -0.4, 0.8) * arc + quiver)
    sharpness = draw.log_uniform("sharpness", 5, 60)
    voice = pulses(phase(glide_hz, time), 1.8 * pitch_hz, sharpness, time)
    closed = filtered(time, voice, throat(draw, "closed", time))
    opened = filtered(time, voice, throat(draw, "open", time))
    swell = sustained(time.seconds, length_s, 0.3 * length_s, 0.4 * length_s)
    return torch.lerp(closed, opened, arc) * swell


def cough(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Bursts of breath with a short voiced part, as in coughing, sneezing, laughing."""
    period_s, count = draw.log_uniform("period_s", 0.12, 0.6), draw.integer("count", 1, 5)
    since_s = local_time(time.seconds, period_s, count)
    decay_s = period_s * draw.uniform("decay", 0.1, 0.4)
    breath = shaped_noise(draw, "breath", time, throat(draw, "breath", time))
    pitch_hz = draw.log_uniform("pitch_hz", 90, 450)
    voice = pulses(phase(pitch_hz, time), pitch_hz, draw.log_uniform("sharpness", 10, 90), time)
    voiced = 4 * filtered(time, voice, throat(draw, "voice", time))
    voiced = draw.uniform("voiced", 0, 3) * voiced
    late = struck(since_s - 0.1 * period_s, 0.02, decay_s)
    return breath * struck(since_s, 0.01, decay_s) + voiced * late


def breathing(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Air in, air out through two different openings; snoring where it flutters."""
    period_s = draw.log_uniform("period_s", 0.5, 1.4)
    inhaled = shaped_noise(draw, "in", time, throat(draw, "in", time))
    exhaled = shaped_noise(draw, "out", time, throat(draw, "out", time))
    flutter_hz = draw.log_uniform("flutter_hz", 18, 70)
    flutter = 1 + draw.uniform("flutter", -0.5, 1).clamp(min=0) * sine(phase(flutter_hz, time))
    first_s, second_s = 0.4 * period_s, 0.5 * period_s
    first = sustained(time.seconds, first_s, 0.4 * first_s, 0.3 * first_s)
    second = sustained(time.seconds - first_s, second_s, 0.2 * second_s, 0.7 * second_s)
    return inhaled * flutter * first + draw.log_uniform("balance", 0.3, 3) * exhaled * second


def bird(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Song of one repeated syllable: a high tone that sweeps, arches and trills."""
    pitch_hz = draw.log_uniform("pitch_hz", 1500, 5500)
    period_s, count = draw.log_uniform("period_s", 0.05, 0.4), draw.integer("count", 2, 12)
    since_s = local_time(time.seconds, period_s, count)
    length_s = period_s * draw.uniform("duty", 0.4, 0.95)
    progress = (since_s / length_s).clamp(0, 1)
    slope, arch = draw.uniform("slope", -0.5, 0.5), draw.uniform("arch", -0.35, 0.35)
    trill = draw.uniform("trill", -0.1, 0.12).clamp(min=0)
    shape = slope * (progress - 0.5) + arch * sine(progress / 2)
    wave = trill * sine(since_s.clamp(min=0) * draw.log_uniform("trill_hz", 15, 80))
    pace = 1 + 0.15 * wander(draw, "song", time, draw.uniform("song_hz", 0.5, 3))
    frequency_hz = (pitch_hz * (1 + shape + wave) * pace).clamp(max=0.45 * time.sample_rate)
    cycles = phase(frequency_hz, time)
    overtone = draw.uniform("overtone", 0, 0.3) * (pitch_hz < 0.12 * time.sample_rate)
    tone = sine(cycles) + overtone * sine(2 * cycles)
    return tone * sustained(since_s, length_s, 0.25 * length_s, 0.4 * length_s)


def crow(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Harsh calls: a deep voice with a rattle in it, falling in pitch."""
    pitch_hz = draw.log_uniform("pitch_hz", 250, 700)
    period_s, count = draw.log_uniform("period_s", 0.3, 0.9), draw.integer("count", 1, 3)
    since_s = local_time(time.seconds, period_s, count)
    length_s = period_s * draw.uniform("duty", 0.45, 0.8)
    fall = 1 - draw.uniform("fall", 0, 0.3) * (since_s / length_s).clamp(0, 1)
    rattle = sine(phase(draw.log_uniform("rattle_hz", 30, 110), time))
    noise = shaped_noise(draw, "harsh", time, band(time, 2 * pitch_hz, 9 * pitch_hz))
    voice = pulses(phase(pitch_hz * fall, time), pitch_hz, draw.uniform("sharpness", 30, 200), time)
    harsh = voice * (1 + 0.9 * rattle) + draw.log_uniform("harsh_gain", 0.1, 0.8) * noise * voice
    call = sustained(since_s, length_s, 0.1 * length_s, 0.3 * length_s)
    return filtered(time, harsh, throat(draw, "throat", time)) * call
