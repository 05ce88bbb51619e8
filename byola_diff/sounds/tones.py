"""Foreground events with a clear pitch or sweep: instruments, signals, whistles."""

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.sounds.curves import harmonics, phase, rolled_off, sine, struck, sustained, wander
from byola_diff.sounds.events import beats, hits, kernel_seconds, local_time, modes, rung
from byola_diff.sounds.inputs import Draw, TimeAxis
from byola_diff.sounds.spectra import band, shaped_noise


def harmonic_tone(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Held note with vibrato and overtones, some with odd overtones only."""
    pitch_hz = draw.log_uniform("pitch_hz", 80, 1500)
    depth = draw.uniform("vibrato_depth", 0, 0.03)
    vibrato = sine(time.clip_seconds * draw.uniform("vibrato_hz", 3, 9))
    amplitude = rolled_off(pitch_hz, draw.uniform("roll_off", 0.3, 2.5), time)
    even = 1 - draw.chance("odd_only", 0.3) * (torch.arange(12, device=pitch_hz.device) % 2)
    tone = harmonics(phase(pitch_hz * (1 + depth * vibrato), time), amplitude * even)
    length_s = draw.log_uniform("length_s", 0.2, 1.5)
    attack_s = draw.log_uniform("attack_s", 0.005, 0.15)
    return tone * sustained(time.seconds, length_s, attack_s, 0.3 * length_s)


def plucked_string(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """One to six plucks of a stiff string, its high overtones dying first."""
    pitch_hz = draw.log_uniform("pitch_hz", 70, 900)
    number = torch.arange(1, 17, device=pitch_hz.device)
    stretch = (1 + draw.log_uniform("stiffness", 1e-5, 2e-3) * number**2).sqrt()
    decay_s = draw.log_uniform("decay_s", 0.1, 1.2) / number ** draw.uniform("damping", 0.3, 1.2)
    # Plucking at a fraction of the length mutes the overtones with a node there.
    gain = torch.sin(number * torch.pi * draw.uniform("pluck_place", 0.08, 0.5)) / number
    seconds = kernel_seconds(time, 1.5)
    string = modes(seconds, pitch_hz * number * stretch, decay_s, gain, time.sample_rate)
    period_s, count = draw.log_uniform("period_s", 0.08, 0.5), draw.integer("count", 1, 6)
    return rung(time, hits(time, *beats(draw, period_s, count)), string)


def bell(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Frequency-modulated tone whose brightness dies away before it does."""
    pitch_hz = draw.log_uniform("pitch_hz", 200, 3000)
    ratio, index = draw.uniform("ratio", 1.2, 4.6), draw.uniform("index", 0.5, 5)
    count, period_s = draw.integer("count", 1, 3), draw.log_uniform("period_s", 0.25, 1.2)
    since_s = local_time(time.seconds, period_s, count)
    decay_s = draw.log_uniform("decay_s", 0.08, 0.8)
    modulation = index * sine(phase(pitch_hz * ratio, time)) * struck(since_s, 1e-3, decay_s / 2)
    tone = torch.sin(2 * torch.pi * phase(pitch_hz, time) + modulation)
    return tone * struck(since_s, 2e-3, decay_s)


def chirp(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Sweeps, straight in frequency or in octaves, of a tone between two pitches."""
    start_hz = draw.log_uniform("start_hz", 100, 6500)
    end_hz = draw.log_uniform("end_hz", 100, 6500)
    count, period_s = draw.integer("count", 1, 4), draw.log_uniform("period_s", 0.12, 1.2)
    since_s = local_time(time.seconds, period_s, count)
    progress = (since_s / period_s).clamp(0, 1)
    octaves = start_hz * torch.exp(torch.log(end_hz / start_hz) * progress)
    straight = torch.lerp(start_hz, end_hz, progress)
    cycles = phase(torch.where(draw.chance("straight", 0.5) > 0, straight, octaves), time)
    edge_s = 0.1 * period_s
    return sine(cycles) * sustained(since_s, period_s, edge_s, edge_s)


def siren(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Pitch that rises and falls, or jumps, without end; with overtones."""
    low_hz = draw.log_uniform("low_hz", 250, 1200)
    swing = draw.uniform("swing_octaves", 0.3, 1.6)
    turn = sine(phase(draw.log_uniform("turn_hz", 0.5, 6), time))
    # From a smooth turn to a jump between two tones.
    bend = torch.tanh(turn * draw.log_uniform("steepness", 0.5, 20))
    cycles = phase(low_hz * torch.exp2(swing * (0.5 + 0.5 * bend)), time)
    amplitude = rolled_off(low_hz * 2**swing, draw.uniform("roll_off", 0.8, 3), time, count=6)
    length_s = draw.log_uniform("length_s", 0.5, 2)
    edge_s = draw.log_uniform("edge_s", 0.03, 0.2)
    return harmonics(cycles, amplitude) * sustained(time.seconds, length_s, edge_s, edge_s)


def alarm(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Groups of equal beeps, every other one at another pitch."""
    pitch_hz, step = draw.log_uniform("pitch_hz", 500, 3500), draw.uniform("step", 0.7, 1.4)
    period_s = draw.log_uniform("period_s", 0.05, 0.4)
    count, duty = draw.integer("count", 3, 12), draw.uniform("duty", 0.35, 0.85)
    number = torch.floor(time.seconds / period_s)
    two_tone = draw.chance("two_tone", 0.5) * (number % 2)
    cycles = phase(pitch_hz * (1 + (step - 1) * two_tone), time)
    amplitude = rolled_off(1.4 * pitch_hz, draw.uniform("roll_off", 0.5, 3), time, count=6)
    edge_s = 0.04 * period_s
    beep = sustained(local_time(time.seconds, period_s, count), duty * period_s, edge_s, edge_s)
    return harmonics(cycles, amplitude) * beep


def telephone_ring(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Two high gongs struck in turn some twenty times a second, in bursts."""
    pitch_hz, interval = draw.log_uniform("pitch_hz", 700, 2500), draw.uniform("interval", 1.1, 1.6)
    strike_s = 1 / draw.uniform("strike_hz", 12, 30)
    since_s = time.seconds.clamp(min=0) % strike_s
    stroke = torch.exp(-since_s / (strike_s * draw.uniform("ring", 0.2, 1)))
    first, second = sine(phase(pitch_hz, time)), sine(phase(pitch_hz * interval, time))
    upper = sine(phase(pitch_hz * 2.76, time)) * draw.uniform("upper", 0, 0.7)
    turn = torch.floor(time.seconds / strike_s) % 2
    burst_s, count = draw.log_uniform("burst_s", 0.25, 1), draw.integer("count", 1, 3)
    since_burst_s = local_time(time.seconds, 1.5 * burst_s, count)
    edge_s = 0.05 * burst_s
    gongs = torch.lerp(first, second, turn) + upper
    return gongs * stroke * sustained(since_burst_s, burst_s, edge_s, 3 * edge_s)


def whistle(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Wandering pure tone with breath around it, or the trill of a pea whistle."""
    pitch_hz = draw.log_uniform("pitch_hz", 700, 4000)
    bend = draw.uniform("bend", 0, 0.3) * wander(draw, "bend", time, draw.uniform("bend_hz", 1, 4))
    trill = draw.chance("trill", 0.4) * sine(phase(draw.uniform("trill_hz", 20, 45), time))
    tone = sine(phase(pitch_hz * (1 + bend + 0.05 * trill), time)) * (1 + 0.5 * trill)
    breath = shaped_noise(draw, "breath", time, band(time, 0.8 * pitch_hz, 1.3 * pitch_hz))
    length_s = draw.log_uniform("length_s", 0.2, 1.3)
    edge_s = draw.log_uniform("edge_s", 0.01, 0.08)
    whole = tone + draw.log_uniform("breath_gain", 0.02, 0.5) * breath
    return whole * sustained(time.seconds, length_s, edge_s, edge_s)


def horn_chord(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Three loud reedy tones at once, one or two blasts."""
    root_hz = draw.log_uniform("root_hz", 120, 500)
    exponent = draw.uniform("roll_off", 0.2, 1.5)
    ratios = 1 + draw.uniform("ratios", 0.15, 1, count=2).cumsum(1)
    chord = torch.zeros_like(time.seconds)
    for pitch_hz in (root_hz, root_hz * ratios[:, :1], root_hz * ratios[:, 1:]):
        chord = chord + harmonics(phase(pitch_hz, time), rolled_off(pitch_hz, exponent, time, 10))
    count, period_s = draw.integer("count", 1, 2), draw.log_uniform("period_s", 0.4, 1.6)
    edge_s = draw.uniform("edge_s", 0.03, 0.12)
    since_s = local_time(time.seconds, period_s, count)
    return chord * sustained(since_s, 0.8 * period_s, edge_s, edge_s)
