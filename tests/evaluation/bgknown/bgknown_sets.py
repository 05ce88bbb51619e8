"""Background-known items of three tones in noise, and an encoder that is linear in the waveform."""

import json

import numpy as np
import soundfile
import torch

from byola_diff.encoders.content_hash import content_hash
from byola_diff.encoders.open import NamedEncoder
from byola_diff.storage import sha256
from byola_diff.tables.manifest import Clip, write_manifest
from tests.corpus import RATE, tone

VARIANTS = ("mix", "a", "b", "c")
TONES_HZ = {"low": 300.0, "middle": 700.0, "high": 1500.0}
N_SAMPLES = 1600


class Linear(torch.nn.Module):
    """Inner products with the three tones at known phases, and with noise: linear in sound."""

    sample_rate = RATE
    scene_embedding_size = timestamp_embedding_size = 8
    layer_strides = {"embedding": 1}  # noqa: RUF012

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        rows = [tone(hz, N_SAMPLES) for hz in TONES_HZ.values()]
        rows += [0.1 * rng.standard_normal(N_SAMPLES) for _ in range(5)]
        self.register_buffer("rows", torch.tensor(np.array(rows), dtype=torch.float32))

    def scene(self, waveform):
        return waveform @ self.rows.T

    def timestamps(self, waveform):
        return self.scene(waveform)[:, None], torch.zeros(len(waveform), 1)

    def layers(self, waveform):
        return {"embedding": self.scene(waveform)[:, None]}


def named():
    encoder = Linear()
    return NamedEncoder("linear", encoder, content_hash(encoder))


def write_set(folder, n_train=90, n_test=30, change=None):
    """Tones far below tones of the background, whose phases and levels are random."""
    rows = {variant: [] for variant in VARIANTS}
    hashed = [f"{variant}_sha256" for variant in VARIANTS]
    items = [",".join(["item,label,split,snr_db,background_label,start_s", *hashed]) + "\n"]
    for number in range(n_train + n_test):
        rng = np.random.default_rng(number)
        split = "train" if number < n_train else "test"
        label = list(TONES_HZ)[number % 3]
        # What overlaps is the same: (a) wholly, (b) in half of its power, (c) not at all.
        levels = rng.normal(size=(3, len(TONES_HZ)))
        scene, other, third = 0.1 * levels @ [tone(hz, N_SAMPLES) for hz in TONES_HZ.values()]
        sounds = {
            "mix": scene + 0.08 * tone(TONES_HZ[label], N_SAMPLES),
            "a": scene,
            "b": 0.5 * scene + 0.5 * other,
            "c": third,
        }
        name = f"{split}_{number}"
        digests = []
        for variant, sound in sounds.items():
            file = f"audio/{split}/{name}_{variant}.wav"
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / file, sound, RATE)
            digests.append(sha256(folder / file))
            rows[variant].append(Clip(file, (label,), split=split, group=str(number)))
        about = [name, label, split, f"{number / 100}", "rain", "1.25", *digests]
        items.append(",".join(about) + "\n")
    if change:
        change(rows)
    for variant in VARIANTS:
        write_manifest(folder / f"{variant}.csv", rows[variant])
    (folder / "items.csv").write_text("".join(items))
    write_facts(folder)


def write_facts(folder, **changes):
    facts = {
        "name": "Background-known ESC-50",
        "seed": 3,
        "settings": {"ref_db": -40.0},
        "renderer": "by hand",
        "deviations": ["events: 120 tones", "backgrounds: tones"],
        "manifests": {
            f"{name}.csv": sha256(folder / f"{name}.csv") for name in (*VARIANTS, "items")
        },
    }
    (folder / "bgknown.json").write_text(json.dumps(facts | changes))
