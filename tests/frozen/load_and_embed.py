"""Embeddings by the Python API: `python load_and_embed.py BUNDLE WEIGHTS.pth OUT.json`."""

import json
import sys
from pathlib import Path

import numpy as np
import torch

from byola_diff import load_encoder

N_CLIPS = 3
DURATION_S = 0.6


def main(bundle, weights, out):
    encoders = {
        "bundle": load_encoder(bundle),
        "weights": load_encoder(weights, statistics=(-6.0, 4.0), front_end={"hop_samples": 200}),
    }
    found = {}
    for name, encoder in encoders.items():
        clips = waveforms(encoder.sample_rate)
        frames, centres_ms = encoder.timestamps(clips)
        found[f"{name} scene"] = encoder.scene(clips)
        found[f"{name} timestamps"] = frames.flatten(1)
        found[f"{name} centres_ms"] = centres_ms
        for layer, values in encoder.layers(clips).items():
            found[f"{name} layer {layer}"] = values.flatten(1)
    plain = {name: values.tolist() for name, values in found.items()}
    Path(out).write_text(json.dumps(plain), encoding="utf-8")


def waveforms(sample_rate):
    """Tones in noise, [clip, sample]."""
    rng = np.random.default_rng(0)
    seconds = np.arange(round(DURATION_S * sample_rate)) / sample_rate
    pitches_hz = np.array([[300.0], [900.0], [2700.0]])[:N_CLIPS]
    noise = rng.standard_normal((N_CLIPS, len(seconds)))
    tones = np.sin(2 * np.pi * pitches_hz * seconds)
    return torch.from_numpy(0.2 * tones + 0.05 * noise).float()


if __name__ == "__main__":
    main(*sys.argv[1:])
