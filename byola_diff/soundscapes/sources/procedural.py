"""Procedural sources for soundscapes, where no recordings are at hand.

Every file is rendered alone, so it depends on the seed, its label and its number, and on nothing
that is rendered beside it. A stopped run goes on with the files that are missing.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from byola_diff.atomic import write_text
from byola_diff.audio.files import write_wav
from byola_diff.randomness import derive_seed
from byola_diff.sounds import BACKGROUNDS, FOREGROUNDS, render
from byola_diff.soundscapes.production.workers import one_thread
from byola_diff.soundscapes.sources.library import Library, Source

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
        duration_s: Length of each file. The event begins between a tenth and half of it.
        sample_rate: Hz.
        labels: Some of `FOREGROUNDS`; all, if left out.
        dry_run: Write nothing, only return what there would be.

    Raises:
        ValueError: If a label is unknown, there is nothing to write, or the folder holds sounds of
            other settings.
    """
    chosen = _chosen(tuple(FOREGROUNDS), labels)
    files = _Files("events", seed, per_label, chosen, duration_s, sample_rate)
    folder = Path(folder)
    if not dry_run:
        files.begin(folder)
        files.write(folder, derive_seed(seed, "procedural events"))
    return files.library(folder)


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

    Arguments and errors are those of `write_procedural_events`, with labels of `BACKGROUNDS`. Files
    go to dev/LABEL/LABEL_000.wav and eval/LABEL/LABEL_000.wav, `per_label` to each of the two.
    """
    chosen = _chosen(tuple(BACKGROUNDS), labels)
    files = _Files("backgrounds", seed, per_label, chosen, duration_s, sample_rate)
    folder = Path(folder)
    if not dry_run:
        files.begin(folder)
        for part in PARTS:
            files.write(folder / part, derive_seed(seed, "procedural backgrounds", part))
    return {part: files.library(folder / part, part) for part in PARTS}


def _chosen(known: tuple[str, ...], labels: Sequence[str] | None) -> tuple[str, ...]:
    """The labels, each once, in the order of the registry."""
    wanted = known if labels is None else labels
    if unknown := sorted(set(wanted) - set(known)):
        raise ValueError(f"unknown labels {', '.join(unknown)}: there are {', '.join(known)}")
    return tuple(label for label in known if label in wanted)


@dataclass(frozen=True)
class _Files:
    """What a folder holds, as its record says it: fields in the order of the record."""

    kind: str
    seed: int
    per_label: int
    labels: tuple[str, ...]
    duration_s: float
    sample_rate: int

    def __post_init__(self) -> None:
        if self.per_label < 1 or not self.labels or self.n_samples < 1:
            what = f"{self.per_label} sounds of {self.duration_s} s for {len(self.labels)} labels"
            raise ValueError(f"nothing to write: {what}")

    @property
    def n_samples(self) -> int:
        return int(self.duration_s * self.sample_rate)

    def begin(self, folder: Path) -> None:
        """Record what the folder holds, or check that it is this: other sounds have these names."""
        text, record = json.dumps(asdict(self), indent=2) + "\n", folder / _RECORD
        if record.exists():
            if record.read_text(encoding="utf-8", errors="replace") != text:
                raise ValueError(
                    f"{folder} holds procedural sounds of other settings (see {record}): give "
                    "another --out, or remove it"
                )
        elif folder.is_dir() and any(folder.iterdir()):
            raise ValueError(
                f"{folder} is not empty and holds no procedural sounds: give another --out"
            )
        else:
            write_text(record, text)

    def write(self, folder: Path, seed: int) -> None:
        """Render the files that are missing or incomplete."""
        sounds = [(label, number) for label in self.labels for number in range(self.per_label)]
        for label, number in tqdm(sounds, desc=folder.name, unit="sound", disable=None):
            path = folder / _file(label, number)
            if path.is_file() and path.stat().st_size == _WAV_HEADER_BYTES + 2 * self.n_samples:
                continue
            index = torch.tensor([number])
            with one_thread():
                waveform = render([label], seed, index, self.n_samples, self.sample_rate)
            write_wav(path, waveform[0].numpy(), self.sample_rate)

    def library(self, folder: Path, part: str | None = None) -> Library:
        """What is written, without a look at the files."""
        length_s = self.n_samples / self.sample_rate
        sources = [
            Source(_file(label, n), label, length_s, None if part else 1 + n % N_FOLDS, part)
            for label in self.labels
            for n in range(self.per_label)
        ]
        return Library(folder, tuple(sorted(sources, key=lambda source: source.file)))


def _file(label: str, number: int) -> str:
    return f"{label}/{label}_{number:03d}.wav"
