"""Procedural sources for soundscapes, where no recordings are at hand.

Every file is rendered alone, so it depends on the seed, its label and its number, and on nothing
that is rendered beside it. A stopped run goes on with the files that are missing.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from byola_diff.atomic import write_text
from byola_diff.audio.files import write_wav
from byola_diff.randomness import derive_seed
from byola_diff.sounds import BACKGROUNDS, FOREGROUNDS, render
from byola_diff.soundscapes.library import Library, Source
from byola_diff.soundscapes.workers import one_thread

N_FOLDS = 5
PARTS = ("dev", "eval")

_RECORD = "procedural.json"
_WAV_HEADER_BYTES = 44


def write_procedural_events(
    folder: Path | str,
    *,
    per_label: int,
    seed: int,
    duration_s: float = 5.0,
    sample_rate: int = 44_100,
    labels: Sequence[str] | None = None,
    dry_run: bool = False,
) -> Library:
    """One event per file, LABEL/LABEL_000.wav and so on, in five folds by turns.

    Args:
        folder: Where the files go.
        per_label: Files for each label.
        seed: The same seed gives the same bytes.
        duration_s: Of each file. The event begins between a tenth and half of it.
        sample_rate: Hz.
        labels: Some of `FOREGROUNDS`; all, if left out.
        dry_run: Only tell what there would be.

    Raises:
        ValueError: If a label is unknown, there is nothing to write, or the folder holds sounds of
            other settings.
    """
    labels = _checked(tuple(FOREGROUNDS), labels, per_label, duration_s, sample_rate)
    folder = Path(folder)
    if not dry_run:
        _begin(folder, "events", seed, per_label, labels, duration_s, sample_rate)
        key = derive_seed(seed, "procedural events")
        _write(folder, labels, per_label, key, duration_s, sample_rate)
    return _library(folder, labels, per_label, duration_s, sample_rate)


def write_procedural_backgrounds(
    folder: Path | str,
    *,
    per_label: int,
    seed: int,
    duration_s: float = 12.0,
    sample_rate: int = 44_100,
    labels: Sequence[str] | None = None,
    dry_run: bool = False,
) -> dict[str, Library]:
    """Libraries "dev" and "eval" of stationary sounds, none of them in both.

    Args:
        folder: Files go to dev/LABEL/LABEL_000.wav and eval/LABEL/LABEL_000.wav below it.
        per_label: Files for each label, in each of the two.
        seed: The same seed gives the same bytes.
        duration_s: Of each file.
        sample_rate: Hz.
        labels: Some of `BACKGROUNDS`; all, if left out.
        dry_run: Only tell what there would be.

    Raises:
        ValueError: If a label is unknown, there is nothing to write, or the folder holds sounds of
            other settings.
    """
    labels = _checked(tuple(BACKGROUNDS), labels, per_label, duration_s, sample_rate)
    folder = Path(folder)
    if not dry_run:
        _begin(folder, "backgrounds", seed, per_label, labels, duration_s, sample_rate)
        for part in PARTS:
            key = derive_seed(seed, "procedural backgrounds", part)
            _write(folder / part, labels, per_label, key, duration_s, sample_rate)
    return {
        part: _library(folder / part, labels, per_label, duration_s, sample_rate, part)
        for part in PARTS
    }


def _checked(
    known: tuple[str, ...],
    labels: Sequence[str] | None,
    per_label: int,
    duration_s: float,
    sample_rate: int,
) -> tuple[str, ...]:
    """The labels, each once, in the order of the registry."""
    wanted = known if labels is None else labels
    if unknown := sorted(set(wanted) - set(known)):
        raise ValueError(f"unknown labels {', '.join(unknown)}: there are {', '.join(known)}")
    if per_label < 1 or not wanted or int(duration_s * sample_rate) < 1:
        what = f"{per_label} sounds of {duration_s} s for {len(wanted)} labels"
        raise ValueError(f"nothing to write: {what}")
    return tuple(label for label in known if label in wanted)


def _begin(
    folder: Path,
    kind: str,
    seed: int,
    per_label: int,
    labels: tuple[str, ...],
    duration_s: float,
    sample_rate: int,
) -> None:
    """Record what the folder holds, or check that it is this: other sounds have the same names."""
    settings: dict[str, Any] = {
        "kind": kind,
        "seed": seed,
        "per_label": per_label,
        "labels": list(labels),
        "duration_s": duration_s,
        "sample_rate": sample_rate,
    }
    text, record = json.dumps(settings, indent=2) + "\n", folder / _RECORD
    if record.exists():
        if record.read_text(encoding="utf-8", errors="replace") != text:
            raise ValueError(
                f"{folder} holds procedural sounds of other settings (see {record}): give another "
                "--out, or remove it"
            )
    elif folder.is_dir() and any(folder.iterdir()):
        raise ValueError(
            f"{folder} is not empty and holds no procedural sounds: give another --out"
        )
    else:
        write_text(record, text)


def _write(
    folder: Path,
    labels: tuple[str, ...],
    per_label: int,
    seed: int,
    duration_s: float,
    sample_rate: int,
) -> None:
    n_samples = int(duration_s * sample_rate)
    sounds = [(label, number) for label in labels for number in range(per_label)]
    for label, number in tqdm(sounds, desc=folder.name, unit="sound", disable=None):
        path = folder / _file(label, number)
        if path.is_file() and path.stat().st_size == _WAV_HEADER_BYTES + 2 * n_samples:
            continue
        with one_thread():
            waveform = render([label], seed, torch.tensor([number]), n_samples, sample_rate)
        write_wav(path, waveform[0].numpy(), sample_rate)


def _library(
    folder: Path,
    labels: tuple[str, ...],
    per_label: int,
    duration_s: float,
    sample_rate: int,
    part: str | None = None,
) -> Library:
    """What is written, without a look at the files."""
    length_s = int(duration_s * sample_rate) / sample_rate
    sources = [
        Source(_file(label, n), label, length_s, None if part else 1 + n % N_FOLDS, part)
        for label in labels
        for n in range(per_label)
    ]
    return Library(folder, tuple(sorted(sources, key=lambda source: source.file)))


def _file(label: str, number: int) -> str:
    return f"{label}/{label}_{number:03d}.wav"
