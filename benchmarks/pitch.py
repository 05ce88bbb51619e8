"""Makes notes of unseen timbres, to see how much of pitch an encoder keeps.

    python benchmarks/pitch.py notes
    python evaluate.py linear --protocol logistic --encoder byola-diff --manifest notes/manifest.csv

60 timbres (harmonics, attack, decay, noise), each in 12 pitch classes, which are the labels, in one
of three octaves, up to a tenth of a semitone out of tune. 20 timbres are for the test.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import soundfile as sf

RATE = 16_000
TIMBRES, TRAINING, CLASSES = 60, 40, 12


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
    for timbre in range(TIMBRES):
        sound = draw_timbre(generator)
        for pitch_class in range(CLASSES):
            octave, out_of_tune = generator.integers(0, 3), generator.uniform(-0.1, 0.1)
            name = f"audio/{timbre:02d}_{pitch_class:02d}.wav"
            midi = 48 + pitch_class + 12 * octave + out_of_tune
            sf.write(out / name, note(midi, sound, generator), RATE, subtype="PCM_16")
            rows.append((name, f"pitch_{pitch_class}", "train" if timbre < TRAINING else "test"))
    with (out / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def draw_timbre(generator: np.random.Generator) -> dict[str, np.ndarray | float]:
    """Levels of the harmonics; seconds of attack; decay a second; level of the noise."""
    number = np.arange(1, generator.integers(4, 21))
    levels = generator.exponential(1, len(number)) / number ** generator.uniform(0.3, 2)
    return {
        "levels": levels,
        "attack_s": generator.uniform(0.005, 0.1),
        "decay": generator.uniform(0.5, 6),
        "noise": 10 ** generator.uniform(-4, -2),
    }


def note(
    midi: float, sound: dict[str, np.ndarray | float], generator: np.random.Generator
) -> np.ndarray:
    """One second at a peak of 0.3; MIDI number 69 is 440 Hz."""
    seconds = np.arange(RATE) / RATE
    hertz = 440 * 2 ** ((midi - 69) / 12)
    waveform = np.zeros(RATE)
    for number, level in enumerate(np.atleast_1d(sound["levels"]), start=1):
        if number * hertz < 0.49 * RATE:
            phase = generator.uniform(0, 2 * np.pi)
            waveform += level * np.sin(2 * np.pi * number * hertz * seconds + phase)
    waveform *= np.minimum(seconds / sound["attack_s"], 1) * np.exp(-sound["decay"] * seconds)
    noise = sound["noise"] * generator.standard_normal(RATE)
    return 0.3 * waveform / np.abs(waveform).max() + noise


if __name__ == "__main__":
    main()
