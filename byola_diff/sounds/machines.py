"""Backgrounds of engines, electricity and rooms: stationary, of any length."""

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.sounds.curves import harmonics, phase, pulses, rolled_off, sine, wander
from byola_diff.sounds.inputs import Draw, TimeAxis
from byola_diff.sounds.spectra import band, filtered, peaks, shaped_noise, tilt


def hiss(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Steady noise of any colour and any band."""
    low_hz = draw.log_uniform("low_hz", 30, 3000)
    gain = tilt(time, draw.uniform("slope_db_per_octave", -9, 5))
    high_hz = low_hz * draw.log_uniform("span", 2, 200)
    return shaped_noise(draw, "hiss", time, gain * band(time, low_hz, high_hz))


def mains_hum(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Harmonics of 50 or 60 Hz, each at its own strength, with a little noise."""
    mains_hz = 50 + 10 * draw.chance("sixty", 0.5)
    amplitude = draw.log_uniform("amplitude", 0.02, 1, count=20)
    hum = harmonics(phase(mains_hz, time), amplitude)
    slope = tilt(time, draw.uniform("slope_db_per_octave", -6, 0))
    noise = shaped_noise(draw, "noise", time, slope)
    return hum + draw.log_uniform("noise_gain", 0.01, 0.5) * noise


def engine(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Uneven cylinders at a wandering speed, through a resonant exhaust."""
    speed_hz = draw.log_uniform("speed_hz", 8, 70)
    drift = 0.15 * wander(draw, "drift", time, draw.log_uniform("drift_hz", 0.3, 2))
    cycles = phase(speed_hz * (1 + drift), time)
    even = pulses((4 * cycles).frac(), 4 * speed_hz, draw.log_uniform("sharpness", 4, 100), time)
    uneven = 1 + draw.uniform("uneven", 0, 0.8) * sine(cycles)
    noise = shaped_noise(draw, "noise", time, band(time, 2 * speed_hz, 100 * speed_hz, order=2))
    source = (even + draw.log_uniform("noise_gain", 0.02, 0.3) * noise) * uneven
    exhaust_hz = draw.log_uniform("exhaust_hz", 60, 2500, count=4)
    gain = peaks(time, exhaust_hz, 0.25 * exhaust_hz, draw.uniform("gains", 0.2, 1, count=4))
    return filtered(time, source, gain + 0.1)


def rotor(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Helicopter or fan: noise and thumps chopped by blades, and a turbine tone."""
    blade_hz = draw.log_uniform("blade_hz", 5, 35)
    cycles = phase(blade_hz, time)
    chop = torch.exp(draw.uniform("sharpness", 1, 6) * (sine(cycles) - 1))
    low_hz = draw.log_uniform("low_hz", 80, 900)
    air = shaped_noise(draw, "air", time, band(time, low_hz, 5 * low_hz, order=2))
    thump_hz = draw.log_uniform("thump_hz", 30, 120)
    thump = sine(phase(thump_hz, time)) * draw.uniform("thump_gain", 0, 2)
    turbine = sine(phase(draw.log_uniform("turbine_hz", 500, 5000), time))
    slope = tilt(time, draw.uniform("slope_db_per_octave", -8, -2))
    steady = shaped_noise(draw, "steady", time, slope)
    whole = (air + thump) * chop + draw.log_uniform("steady_gain", 0.02, 0.4) * steady
    return whole + draw.log_uniform("turbine_gain", 0.005, 0.3) * turbine


def motor(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Vacuum cleaner, drill or fan: a whirring tone that wavers, in a rush of air."""
    pitch_hz = draw.log_uniform("pitch_hz", 120, 2000)
    depth, waver_hz = draw.uniform("waver", 0, 0.06), draw.uniform("waver_hz", 1, 8)
    waver = depth * wander(draw, "waver", time, waver_hz)
    amplitude = rolled_off(pitch_hz, draw.uniform("roll_off", 0.3, 2), time, count=10)
    whirr = harmonics(phase(pitch_hz * (1 + waver), time), amplitude)
    air_hz = draw.log_uniform("air_hz", 200, 3500, count=2)
    gain = peaks(time, air_hz, 0.5 * air_hz, draw.uniform("gains", 0.2, 1, count=2))
    air = shaped_noise(draw, "air", time, gain + 0.03)
    return whirr + draw.log_uniform("air_gain", 0.1, 4) * air


def train_ride(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Rumble of wheels with pairs of clacks at the joints of the rails."""
    cycles = phase(draw.log_uniform("joint_hz", 1, 4), time)
    apart = draw.uniform("apart", 0.12, 0.35)
    tightness = draw.log_uniform("tightness", 40, 400)
    start = draw.uniform("start", 0, 1)
    clack = torch.exp(tightness * (sine(cycles + start) - 1))
    clack = clack + 0.7 * torch.exp(tightness * (sine(cycles + start + apart) - 1))
    rail_hz = draw.log_uniform("rail_hz", 200, 3500, count=3)
    iron_gain = peaks(time, rail_hz, 0.15 * rail_hz, torch.ones_like(rail_hz))
    iron = shaped_noise(draw, "iron", time, iron_gain + 0.02)
    rumble_hz = draw.log_uniform("rumble_hz", 50, 400)
    rumble = shaped_noise(draw, "rumble", time, band(time, 0.4 * rumble_hz, rumble_hz, order=2))
    return draw.log_uniform("clack_gain", 0.5, 4) * iron * clack + rumble


def crowd(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Many far voices: a murmur shaped like speech and stirred at its pace."""
    murmur = torch.zeros_like(time.seconds)
    for group in range(3):
        formant_hz = draw.log_uniform(f"formants_{group}_hz", 250, 3500, count=3)
        gain = peaks(time, formant_hz, 0.15 * formant_hz, 300 / formant_hz)
        noise = shaped_noise(draw, f"noise_{group}", time, gain)
        pace = wander(draw, f"pace_{group}", time, draw.uniform(f"pace_{group}_hz", 2, 6))
        pitch_hz = draw.log_uniform(f"pitch_{group}_hz", 90, 280)
        voiced = 1 + sine(phase(pitch_hz * (1 + 0.1 * pace), time))
        murmur = murmur + noise * voiced * (0.5 + 0.5 * pace) ** 2
    return murmur


def buzzer(draw: Draw, time: TimeAxis) -> Float[Tensor, "batch sample"]:
    """Transformer, neon or insistent buzzer: a rough tone with beating overtones."""
    pitch_hz = draw.log_uniform("pitch_hz", 60, 400)
    amplitude = rolled_off(pitch_hz, draw.uniform("roll_off", 0, 1), time, count=20)
    comb = draw.uniform("comb", 0.1, 1, count=20)
    tone = harmonics(phase(pitch_hz, time), amplitude * comb)
    twin = harmonics(phase(pitch_hz * draw.uniform("detune", 1.002, 1.03), time), amplitude * comb)
    return tone + draw.uniform("twin_gain", 0, 1) * twin
