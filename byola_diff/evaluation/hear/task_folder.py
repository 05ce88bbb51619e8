"""A HEAR task as published: a folder with metadata, vocabulary, splits and audio.

    task_metadata.json  labelvocabulary.csv  {split}.json  {rate}/{split}/*.wav

Any task in this layout is read: of scenes or events, with one label or several, with a fixed split
or folds. Everything is checked before any work starts.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from byola_diff.embeddings.extracted import Readout
from byola_diff.evaluation.hear.annotations import (
    Annotation,
    Labels,
    read_annotations,
    read_vocabulary,
)
from byola_diff.evaluation.hear.task_metadata import HearTaskError, TaskMetadata, read_metadata
from byola_diff.tables.manifest import Clip, Manifest
from byola_diff.tables.rows import ClipFiles


@dataclass(frozen=True)
class Fold:
    """Splits to train on, to select by and to test on."""

    train: tuple[str, ...]
    valid: str
    test: str


@dataclass(frozen=True)
class HearTask:
    """A task whose files are all there."""

    folder: Path
    metadata: TaskMetadata
    labels: Labels
    """In the order of their index."""
    files: Mapping[str, tuple[str, ...]]
    """Names by split."""
    rates: tuple[int, ...]
    """Hz; sample rates at which the audio is there, ascending."""
    annotations: Mapping[str, tuple[Annotation, ...]]
    """Labels or events by split, in the order of the files."""

    def answers(self, split: str) -> tuple[Annotation, ...]:
        """Labels or events of a split. The evaluation asks here, and for a test split last."""
        return self.annotations[split]

    @property
    def readout(self) -> Readout:
        """Embeddings of clips, or over time for events."""
        return "scene" if self.metadata.embedding_type == "scene" else "timestamps"

    def folds(self) -> tuple[Fold, ...]:
        """The one fixed split, or all rotations: fold i tests, i + 1 selects, the others train."""
        splits = self.metadata.splits
        if self.metadata.split_mode == "trainvaltest":
            return (Fold(("train",), "valid", "test"),)
        rotated = [(test, splits[(i + 1) % len(splits)]) for i, test in enumerate(splits)]
        return tuple(
            Fold(tuple(split for split in splits if split not in (test, valid)), valid, test)
            for test, valid in rotated
        )

    def rate_for(self, sample_rate: int) -> int:
        """The rate to read for an encoder at `sample_rate`: that one, else the highest there is."""
        return sample_rate if sample_rate in self.rates else max(self.rates)

    def manifest(self, sample_rate: int) -> Manifest:
        """All clips, split after split, without any label: embeddings depend on none."""
        clips = [
            Clip(f"{split}/{file}", ())
            for split in self.metadata.splits
            for file in self.files[split]
        ]
        return Manifest(self.folder / str(self.rate_for(sample_rate)), tuple(clips), self.labels)


def read_hear_task(folder: Path | str) -> HearTask:
    """The task in `folder`, which has `task_metadata.json`.

    Raises:
        HearTaskError: If something is missing or malformed: a file, an entry, a label outside the
            vocabulary, a clip of several classes without exactly one label, an empty split, a file
            in two splits, or a path that leaves the folder. The message names file and entry.
    """
    folder = Path(folder)
    if not (folder / "task_metadata.json").exists():
        raise HearTaskError(
            f"{folder}: not a HEAR task folder: it has no task_metadata.json; expected "
            "task_metadata.json, labelvocabulary.csv, {split}.json and {rate}/{split}/*.wav"
        )
    metadata = read_metadata(folder / "task_metadata.json")
    labels = read_vocabulary(folder / "labelvocabulary.csv")
    by_split = {
        split: read_annotations(folder / f"{split}.json", metadata, labels)
        for split in metadata.splits
    }
    _check_leaks(folder, by_split)
    rates = _rates(folder)
    for rate in rates:
        _check_files(folder / str(rate), by_split)
    # As the kit does, once, with one generator from split to split: batches have this order.
    generator = random.Random(0)
    for split, annotations in by_split.items():
        files = list(annotations)
        generator.shuffle(files)
        by_split[split] = {file: annotations[file] for file in files}
    return HearTask(
        folder=folder,
        metadata=metadata,
        labels=labels,
        files={split: tuple(annotations) for split, annotations in by_split.items()},
        rates=rates,
        annotations={split: tuple(values.values()) for split, values in by_split.items()},
    )


def _check_leaks(folder: Path, by_split: Mapping[str, Mapping[str, Annotation]]) -> None:
    first_split: dict[str, str] = {}
    for split, annotations in by_split.items():
        for file in annotations:
            other = first_split.setdefault(file, split)
            if other != split:
                reason = f"{file!r}: leaks, it is in {other}.json too"
                raise HearTaskError(f"{folder / split}.json: {reason}")


def _rates(folder: Path) -> tuple[int, ...]:
    rates = sorted(int(entry.name) for entry in folder.iterdir() if _is_rate_folder(entry))
    if not rates:
        raise HearTaskError(
            f"{folder}: no audio: there must be a folder named by its sample rate, as 48000"
        )
    return tuple(rates)


def _is_rate_folder(entry: Path) -> bool:
    name = entry.name
    return name.isascii() and name.isdecimal() and not name.startswith("0") and entry.is_dir()


def _check_files(root: Path, by_split: Mapping[str, Mapping[str, Annotation]]) -> None:
    for split, annotations in by_split.items():
        files = ClipFiles(root / split)
        for file in annotations:
            try:
                files.check(file)
            except ValueError as error:
                path = root.parent / f"{split}.json"
                raise HearTaskError(f"{path}: {file!r}: {error}") from None
