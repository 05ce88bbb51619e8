"""Makes notes of unseen timbres, to see how much of pitch an encoder keeps.

    python benchmarks/pitch.py notes
    python evaluate.py linear --protocol logistic --encoder byola-diff --manifest notes/manifest.csv

60 timbres (harmonics, attack, decay, noise), each in 12 pitch classes, which are the labels, in one
of three octaves, up to a tenth of a semitone out of tune. 20 timbres are for the test.
"""

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf

RATE = 16_000
TIMBRES, TRAINING_TIMBRES, PITCH_CLASSES = 60, 40, 12


@dataclass(frozen=True, kw_only=True)
class Timbre:
    """What the notes of an instrument have in common."""

    levels: np.ndarray
    """Amplitudes of its harmonics, from the fundamental up."""
    attack_s: float
    """Seconds until a note is there."""
    decay_per_s: float
    """Exponential decay."""
    noise: float
    """Deviation of the noise that is added."""


def main() -> None:
    """Write the notes and their manifest; the same bytes each time."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    (out / "audio").mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    rows = [("file", "label", "split")]
    for number in range(TIMBRES):
        timbre, split = draw_timbre(generator), "train" if number < TRAINING_TIMBRES else "test"
        for pitch_class in range(PITCH_CLASSES):
            octave, out_of_tune = generator.integers(0, 3), generator.uniform(-0.1, 0.1)
            name = f"audio/{number:02d}_{pitch_class:02d}.wav"
            midi = 48 + pitch_class + 12 * octave + out_of_tune
            sf.write(out / name, note(midi, timbre, generator), RATE, subtype="PCM_16")
            rows.append((name, f"pitch_{pitch_class}", split))
    with (out / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def draw_timbre(generator: np.random.Generator) -> Timbre:
    """A random one of 3 to 19 harmonics, weaker the higher they are."""
    harmonics = np.arange(1, generator.integers(4, 21))
    return Timbre(
        levels=generator.exponential(1, len(harmonics)) / harmonics ** generator.uniform(0.3, 2),
        attack_s=generator.uniform(0.005, 0.1),
        decay_per_s=generator.uniform(0.5, 6),
        noise=10 ** generator.uniform(-4, -2),
    )


def note(midi: float, timbre: Timbre, generator: np.random.Generator) -> np.ndarray:
    """Waveform of one second, at a peak of 0.3 before the noise; MIDI number 69 is 440 Hz."""
    seconds = np.arange(RATE) / RATE
    hertz = 440 * 2 ** ((midi - 69) / 12)
    waveform = np.zeros(RATE)
    for harmonic, level in enumerate(timbre.levels, start=1):
        if harmonic * hertz < 0.49 * RATE:
            phase = generator.uniform(0, 2 * np.pi)
            waveform += level * np.sin(2 * np.pi * harmonic * hertz * seconds + phase)
    waveform *= np.minimum(seconds / timbre.attack_s, 1) * np.exp(-timbre.decay_per_s * seconds)
    return 0.3 * waveform / np.abs(waveform).max() + timbre.noise * generator.standard_normal(RATE)


if __name__ == "__main__":
    main()
