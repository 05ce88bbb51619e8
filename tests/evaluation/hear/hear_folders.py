"""HEAR tasks of tones in the official layout, and an encoder whose embeddings are known."""

import json

import numpy as np
import torch

from byola_diff.audio.files import write_wav
from byola_diff.embeddings.extract import ExtractionOptions
from byola_diff.encoders.open import NamedEncoder

RATE = 16_000
TONES_HZ = {"low": 1000.0, "mid": 3000.0, "high": 5000.0}  # in a band of 2 kHz each
FAST_GRID = {
    "hidden_layers": [1],
    "hidden_dim": [16],
    "lr": [0.05, 1e-6],
    "max_epochs": [20],
    "check_val_every_n_epoch": [5],
    "initialization": ["xavier_uniform"],
}
METADATA = {
    "task_name": "tones",
    "version": "v1",
    "mode": "full",
    "embedding_type": "scene",
    "prediction_type": "multiclass",
    "split_mode": "trainvaltest",
    "splits": ["train", "test", "valid"],
    "sample_duration": 0.2,
    "evaluation": ["top1_acc", "mAP", "d_prime", "aucroc"],
    "evaluation_params": {"task_specific_param_grid": FAST_GRID},
    "nfolds": 3,
}
FOLDS = {"split_mode": "new_split_kfold", "splits": ["fold00", "fold01", "fold02"]}
EVENTS = {
    "embedding_type": "event",
    "prediction_type": "multilabel",
    "evaluation": ["event_onset_200ms_fms", "segment_1s_er"],
    "sample_duration": 2.0,
    "evaluation_params": {
        "task_specific_param_grid": FAST_GRID,
        "event_postprocessing_grid": {"median_filter_ms": [0, 100], "min_duration": [100]},
    },
}


class BandEncoder:
    """Log power in four bands, over the whole clip or over frames of 50 ms."""

    sample_rate = RATE
    scene_embedding_size = timestamp_embedding_size = 4
    layer_strides = {"bands": 1}  # noqa: RUF012

    def scene(self, waveform):
        return self.timestamps(waveform)[0].mean(1)

    def timestamps(self, waveform):
        frames = waveform.unfold(1, 800, 800)
        power = torch.fft.rfft(frames).abs().square()[..., :400]
        bands = power.unflatten(-1, (4, 100)).sum(-1).clamp_min(1e-4).log()
        return bands, (25.0 + 50 * torch.arange(bands.shape[1])).repeat(len(waveform), 1)

    def layers(self, waveform):
        return {"bands": self.timestamps(waveform)[0]}


NAMED = NamedEncoder("bands", BandEncoder(), "0" * 64)


EXTRACTION = ExtractionOptions(precision="float32", progress=False)


def tone(frequency_hz, duration_s, rate=RATE):
    return 0.3 * np.sin(2 * np.pi * frequency_hz * np.arange(round(duration_s * rate)) / rate)


def write_folder(folder, metadata, labels, audio, rate=RATE):
    """The task `labels` (by split, then by file), with the waveforms `audio` (by file)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "task_metadata.json").write_text(json.dumps(metadata))
    rows = [f"{number},{label}" for number, label in enumerate(sorted(TONES_HZ))]
    (folder / "labelvocabulary.csv").write_text("\n".join(["idx,label", *rows]) + "\n")
    for split, files in labels.items():
        (folder / f"{split}.json").write_text(json.dumps(files))
        for file in files:
            write_wav(folder / str(rate) / split / file, audio[file], rate)
    return folder


def write_scene_task(folder, changes=(), n_clips=6, rate=RATE):
    """Clips of one tone each; of two each, if they may have several labels."""
    metadata = METADATA | dict(changes)
    several = metadata["prediction_type"] == "multilabel"
    rng = np.random.default_rng(0)
    names = sorted(TONES_HZ)
    labels, audio = {}, {}
    for split in metadata["splits"]:
        labels[split] = {}
        for number in range(n_clips):
            file = f"{split}-{number}.wav"
            chosen = [names[(number + i) % 3] for i in range(2 if several else 1)]
            labels[split][file] = chosen
            pitch = rng.uniform(0.95, 1.05)
            audio[file] = sum(tone(pitch * TONES_HZ[name], 0.2, rate) for name in chosen)
    return write_folder(folder, metadata, labels, audio, rate)


def write_event_task(folder, changes=(), n_clips=3):
    """Clips of 2 s, each with three tones of 0.4 s in a row, in another order each."""
    metadata = METADATA | EVENTS | dict(changes)
    names = sorted(TONES_HZ)
    labels, audio = {}, {}
    for split in metadata["splits"]:
        labels[split] = {}
        for number in range(n_clips):
            file = f"{split}-{number}.wav"
            waveform, events = np.zeros(2 * RATE), []
            for slot in range(3):
                name, start_s = names[(number + slot) % 3], 0.1 + 0.6 * slot
                start = round(start_s * RATE)
                waveform[start : start + 6400] = tone(TONES_HZ[name], 0.4)
                start_ms = round(1000 * start_s)
                events.append({"label": name, "start": start_ms, "end": start_ms + 400.0})
            labels[split][file], audio[file] = events, waveform
    return write_folder(folder, metadata, labels, audio)
