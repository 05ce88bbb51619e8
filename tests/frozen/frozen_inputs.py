"""What the frozen scores are made from, written without this package: weights, tables and tones.

Results must not hang on the last bits, which differ between models of processors: tones are far
apart, noise fills the bands between them, and activations are small. So that scores are not all 1
for that, some clips have a wrong label.
"""

import csv
import hashlib
import json

import numpy as np
import soundfile
import torch
from safetensors.torch import save_file

N_MELS = 16
DIM = 64
LABELS = ("alarm", "drips", "footsteps", "whistle")
"""Of the procedural sounds, some that are easily told apart."""
SHARED = {"alarm": "tonal", "whistle": "tonal", "drips": "short", "footsteps": "short"}
"""A second label of each, where clips have several."""
OTHER_BACKGROUNDS = (
    *("bees", "buzzer", "crackle", "crickets", "crowd", "engine", "mains_hum", "motor", "rotor"),
    *("sea", "stream", "train_ride", "waterfall"),
)
"""Procedural backgrounds that are left out, to be quick."""

RATE = 16_000
NOISE = 0.05
TONES_HZ = {"high": 5000.0, "low": 1000.0, "mid": 3000.0}
GRID = {
    "hidden_layers": [1],
    "hidden_dim": [16],
    "lr": [0.02, 0.001],
    "max_epochs": [40],
    "check_val_every_n_epoch": [10],
    "initialization": ["xavier_uniform"],
}
SCENE_TASK = {
    "task_name": "tones",
    "version": "v1",
    "mode": "full",
    "embedding_type": "scene",
    "prediction_type": "multiclass",
    "split_mode": "new_split_kfold",
    "splits": ["fold00", "fold01", "fold02"],
    "nfolds": 3,
    "sample_duration": 0.2,
    "evaluation": ["top1_acc", "mAP", "aucroc", "d_prime"],
    "evaluation_params": {"task_specific_param_grid": GRID},
}
EVENT_TASK = {
    **SCENE_TASK,
    "task_name": "events",
    "embedding_type": "event",
    "prediction_type": "multilabel",
    "split_mode": "trainvaltest",
    "splits": ["train", "valid", "test"],
    "sample_duration": 2.0,
    "evaluation": ["event_onset_200ms_fms", "segment_1s_er"],
    "evaluation_params": {
        "task_specific_param_grid": GRID,
        "event_postprocessing_grid": {"median_filter_ms": [0, 100], "min_duration": [100]},
    },
}
del EVENT_TASK["nfolds"]


def network_weights():
    """Random weights of an AudioNTT2020, by the names of the released files."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        scale = (2 / np.prod(shape[1:])) ** 0.5 if len(shape) > 1 else 0.1
        return torch.from_numpy(scale * rng.standard_normal(shape)).float()

    weights = {}
    for place, n_inputs in ((0, 1), (4, 64), (8, 64)):
        convolution, norm = f"features.{place}", f"features.{place + 1}"
        weights[f"{convolution}.weight"] = normal(64, n_inputs, 3, 3)
        weights[f"{convolution}.bias"] = 0.1 * normal(64)
        weights[f"{norm}.weight"] = (0.1 if place == 0 else 1.0) * (1 + normal(64))
        weights[f"{norm}.bias"] = 0.1 * normal(64)
        weights[f"{norm}.running_mean"] = 0.1 * normal(64)
        weights[f"{norm}.running_var"] = 1 + normal(64).abs()
        weights[f"{norm}.num_batches_tracked"] = torch.tensor(1)
    for place, n_inputs in ((0, 64 * N_MELS // 8), (3, DIM)):
        weights[f"fc.{place}.weight"] = normal(DIM, n_inputs)
        weights[f"fc.{place}.bias"] = 0.1 * normal(DIM)
    return weights


def write_weights(path):
    """A file such as those that were released."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network_weights(), path)


def write_bundle(folder):
    """A bundle of format 1, of a rate that clips must be brought to."""
    folder.mkdir(parents=True)
    save_file(network_weights(), folder / "model.safetensors")
    config = {
        "format_version": 1,
        "front_end": {
            "sample_rate": 8000,
            "window_samples": 512,
            "n_fft": 512,
            "hop_samples": 80,
            "n_mels": N_MELS,
            "f_min_hz": 60.0,
            "f_max_hz": 3900.0,
            "backend": "fft",
        },
        "statistics": {"mean": -6.0, "std": 4.0},
        "encoder": {"name": "AudioNTT2020", "dim": DIM},
        "weights_sha256": hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def write_lists(sounds):
    """Manifests of a few labels of the corpus `sounds`: by split, in folds, of two labels each."""
    with (sounds / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] in LABELS]
    tables = {
        "splits": [(row["file"], row["label"], row["split"]) for row in rows],
        "folds": [(row["file"], row["label"], 1 + k % 5) for k, row in enumerate(rows)],
        "several": [
            (row["file"], f"{row['label']};{SHARED[row['label']]}", row["split"]) for row in rows
        ],
    }
    headers = {"folds": ("file", "label", "fold"), "several": ("file", "labels", "split")}
    for name, table in tables.items():
        write_table(sounds / f"{name}.csv", headers.get(name, ("file", "label", "split")), table)


def write_table(path, header, rows):
    """A CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def write_clips(folder):
    """A manifest of three clips to embed."""
    folder.mkdir()
    rng, rows = np.random.default_rng(4), []
    for label, pitch_hz in sorted(TONES_HZ.items()):
        rows.append((f"{label}.wav", label, "test"))
        soundfile.write(folder / rows[-1][0], tone(rng, pitch_hz / 2, 0.6), RATE)
    write_table(folder / "manifest.csv", ("file", "label", "split"), rows)


def write_events(folder, per_fold=2):
    """Clips of a tone each, as a folder that Background-known ESC-50 is made of."""
    folder.mkdir()
    rng, names, rows = np.random.default_rng(3), sorted(TONES_HZ), []
    for place, label in enumerate(names):
        for number in range(5 * per_fold):
            file, told = f"{label}-{number}.wav", names[(place + (number == 3)) % 3]
            rows.append((file, told, 1 + number % 5))
            soundfile.write(folder / file, tone(rng, TONES_HZ[label], 1.0), RATE)
    write_table(folder / "manifest.csv", ("file", "label", "fold"), rows)


def write_scene_task(folder, n_clips=7):
    """A HEAR task: clips of one tone each."""
    rng, names = np.random.default_rng(1), sorted(TONES_HZ)
    labels, audio = {}, {}
    for split in SCENE_TASK["splits"]:
        labels[split] = {}
        for number in range(n_clips):
            file, name = f"{split}-{number}.wav", names[number % 3]
            labels[split][file] = [names[(number + (number == n_clips - 1)) % 3]]
            audio[file] = tone(rng, TONES_HZ[name], 0.2)
    write_task(folder, SCENE_TASK, labels, audio)


def write_event_task(folder, n_clips=3):
    """A HEAR task: three tones in a row in each clip, in another order each."""
    rng, names = np.random.default_rng(2), sorted(TONES_HZ)
    labels, audio = {}, {}
    for split in EVENT_TASK["splits"]:
        labels[split] = {}
        for number in range(n_clips):
            file, events = f"{split}-{number}.wav", []
            waveform = NOISE * rng.standard_normal(2 * RATE)
            for slot in range(3):
                name, start_ms = names[(number + slot) % 3], 100 + 600 * slot
                start = start_ms * RATE // 1000
                waveform[start : start + 6400] = tone(rng, TONES_HZ[name], 0.4)
                told = names[(number + slot + (number == slot == 2)) % 3]
                events.append({"label": told, "start": start_ms, "end": start_ms + 400.0})
            labels[split][file], audio[file] = events, waveform
    write_task(folder, EVENT_TASK, labels, audio)


def tone(rng, pitch_hz, duration_s):
    """A sine of about that pitch in noise."""
    seconds = np.arange(round(duration_s * RATE)) / RATE
    sine = np.sin(2 * np.pi * rng.uniform(0.95, 1.05) * pitch_hz * seconds)
    return 0.3 * sine + NOISE * rng.standard_normal(len(seconds))


def write_task(folder, metadata, labels, audio):
    """A HEAR task in the official layout: `labels` by split and file, waveforms by file."""
    folder.mkdir(parents=True)
    (folder / "task_metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    write_table(folder / "labelvocabulary.csv", ("idx", "label"), enumerate(sorted(TONES_HZ)))
    for split, files in labels.items():
        (folder / f"{split}.json").write_text(json.dumps(files), encoding="utf-8")
        (folder / str(RATE) / split).mkdir(parents=True)
        for file in files:
            soundfile.write(folder / str(RATE) / split / file, audio[file], RATE)
