"""A HEAR task as published: a folder with metadata, vocabulary, splits and audio.

    task_metadata.json  labelvocabulary.csv  {split}.json  {rate}/{split}/*.wav

Any task in this layout is read: of scenes or events, with one label or several, with a fixed split
or folds. Everything is checked before any work starts.
"""

import random
import re
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from unicodedata import normalize

from pydantic import AfterValidator, BeforeValidator
from typing_extensions import TypedDict

from byola_diff.audio.files import open_audio
from byola_diff.embeddings.extracted import Readout
from byola_diff.evaluation.hear.events import LabelledEvent
from byola_diff.evaluation.hear.task_metadata import (
    HearTaskError,
    Info,
    Milliseconds,
    TaskMetadata,
    read_json_object,
)
from byola_diff.tables.manifest import Clip, Manifest
from byola_diff.tables.rows import FIRST_ROW, ClipFiles, located, read_rows, visible

_ROUNDING_MS = 10.0
"""By how much an event may outlast its file."""

Labels = tuple[str, ...]
Annotation = Labels | tuple[LabelledEvent, ...]
"""The labels of one file, or its events."""


class Fold(NamedTuple):
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
    rates: tuple[int, ...]
    """Hz; sample rates at which the audio is there, ascending."""
    annotations: Mapping[str, Mapping[str, Annotation]]
    """By split, then by file."""

    def answers(self, split: str) -> Mapping[str, Annotation]:
        """By file of a split. The evaluation asks here, and for a test split last."""
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
            for split, annotations in self.annotations.items()
            for file in annotations
        ]
        return Manifest(self.folder / str(self.rate_for(sample_rate)), tuple(clips), self.labels)


def read_hear_task(folder: Path | str) -> HearTask:
    """The task in `folder`, which has `task_metadata.json`.

    Raises:
        HearTaskError: If something is missing or malformed: a file, an entry, a label outside the
            vocabulary, a clip of several classes without exactly one label, an empty split, a file
            in two splits (links followed), a path that leaves the folder, an event that is not in
            its file, or times that can't be milliseconds. The message names file and entry.
        AudioFileError: If a file with events can't be opened.
    """
    folder = Path(folder)
    if not (folder / "task_metadata.json").exists():
        raise HearTaskError(
            f"{folder}: not a HEAR task folder: it has no task_metadata.json; expected "
            "task_metadata.json, labelvocabulary.csv, {split}.json and {rate}/{split}/*.wav"
        )
    metadata = read_json_object(folder / "task_metadata.json", TaskMetadata)
    labels = _read_vocabulary(folder / "labelvocabulary.csv")
    by_split = {
        split: _read_annotations(folder / f"{split}.json", metadata, labels)
        for split in metadata.splits
    }
    names = (path.name for path in folder.iterdir() if path.is_dir())
    rates = tuple(sorted(int(name) for name in names if re.fullmatch("[1-9][0-9]*", name)))
    if not rates:
        raise HearTaskError(
            f"{folder}: no audio: there must be a folder named by its sample rate, as 48000"
        )
    by_split = _checked_files(folder, rates, by_split)
    if metadata.embedding_type == "event":
        for split, annotations in by_split.items():
            _check_times(folder, f"{rates[0]}/{split}", split, annotations)
    # As the kit does, once, with one generator from split to split: batches have this order.
    generator = random.Random(0)
    for split, annotations in by_split.items():
        files = list(annotations)
        generator.shuffle(files)
        by_split[split] = {file: annotations[file] for file in files}
    return HearTask(folder, metadata, labels, rates, by_split)


def _checked_files(
    folder: Path, rates: tuple[int, ...], by_split: Mapping[str, Mapping[str, Annotation]]
) -> dict[str, dict[str, Annotation]]:
    """The same with the files as the disk spells their names."""
    first_split: dict[Hashable, str] = {}
    checked: dict[str, dict[str, Annotation]] = {}
    for split, annotations in by_split.items():
        roots = [ClipFiles(folder / str(rate) / split) for rate in rates]
        checked[split] = {}
        for file, annotation in annotations.items():
            with located(f"{folder / split}.json: {file!r}: ", HearTaskError):
                _refuse_other_split(first_split, file, split)
                names = [files.check(file) for files in roots]
                for files, name in zip(roots, names, strict=True):
                    _refuse_other_split(first_split, files.identity(name), split)
                checked[split][names[0]] = annotation
    return checked


def _refuse_other_split(first_split: dict[Hashable, str], known_by: Hashable, split: str) -> None:
    """Raise `ValueError` if what a file is known by is in the dictionary for another split."""
    if (other := first_split.setdefault(known_by, split)) != split:
        raise ValueError(f"leaks, it is in {other}.json too")


def _check_times(
    folder: Path, audio: str, split: str, annotations: Mapping[str, Annotation]
) -> None:
    """Raise `HearTaskError` if the events of a split are not within their files."""
    longest_ms, latest_ms = 0.0, 0.0
    for file, annotation in annotations.items():
        events = [event for event in annotation if isinstance(event, LabelledEvent)]
        with open_audio(folder / audio / file) as reader:
            length_ms = 1000 * reader.n_samples / reader.sample_rate
        for number, event in enumerate(events, start=1):
            if event.start_ms >= length_ms or event.end_ms > length_ms + _ROUNDING_MS:
                times = f"from {event.start_ms:g} to {event.end_ms:g} ms"
                raise HearTaskError(
                    f"{folder / split}.json: {file!r}, item {number}: {times}, but the file ends "
                    f"at {length_ms:g} ms"
                )
            latest_ms = max(latest_ms, event.end_ms)
        longest_ms = max(longest_ms, length_ms)
    if 0 < latest_ms <= longest_ms / 1000:
        raise HearTaskError(
            f"{folder / split}.json: no event ends after {latest_ms:g} ms, of files of up to "
            f"{longest_ms / 1000:g} s: times must be milliseconds, these seem to be seconds"
        )


def _read_vocabulary(path: Path) -> Labels:
    """Labels in the order of their index."""
    with located(f"{path}: ", HearTaskError):
        labels: dict[str, str] = {}
        rows = read_rows(path, "vocabulary", [("idx",), ("label",)])
        for number, row in enumerate(rows, start=FIRST_ROW):
            with located(f"row {number}: "):
                index, label = row["idx"], visible(row["label"])
            if not label or index in labels or label in labels.values():
                raise ValueError(f"row {number}: empty or repeated label or index: {row}")
            labels[index] = label
        numbers = [str(number) for number in range(len(labels))]
        if labels.keys() != set(numbers) or len(labels) < 2:
            reason = f"must count from 0 on, for two labels or more: {list(labels)}"
            raise ValueError(f"column 'idx' {reason}")
    return tuple(labels[number] for number in numbers)


def _read_annotations(
    path: Path, metadata: TaskMetadata, vocabulary: Collection[str]
) -> dict[str, Annotation]:
    """Labels or events of each file of a split, in the order of the JSON file."""
    exactly_one = metadata.prediction_type == "multiclass"
    context = {"vocabulary": frozenset(vocabulary), "exactly_one": exactly_one}
    kind = _FileLabels if metadata.embedding_type == "scene" else _FileEvents
    annotations = read_json_object(path, dict[str, kind], context)
    if not any(annotations.values()):
        raise HearTaskError(f"{path}: empty split: no file has a label")
    return annotations


def _check_label(label: Any, info: Info) -> str:
    # Whole numbers occur, as pitches do: the vocabulary has them as text.
    text = normalize("NFC", str(label).strip())
    if not isinstance(label, (str, int)) or text not in info.context["vocabulary"]:
        raise ValueError(f"label {label!r} is not in the vocabulary")
    return text


def _check_labels(labels: Labels, info: Info) -> Labels:
    if info.context["exactly_one"] and len(labels) != 1:
        raise ValueError(f"must have exactly one label, as the task is multiclass: {labels}")
    if len(set(labels)) < len(labels):
        raise ValueError(f"a label occurs twice: {labels}")
    return labels


_Label = Annotated[str, BeforeValidator(_check_label)]


class _EventEntry(TypedDict):
    label: _Label
    start: Milliseconds
    end: Milliseconds


def _event(entry: _EventEntry) -> LabelledEvent:
    if entry["start"] > entry["end"]:
        raise ValueError(f"start and end must be in order, not {entry['start']}, {entry['end']}")
    return LabelledEvent(entry["label"], entry["start"], entry["end"])


_FileLabels = Annotated[tuple[_Label, ...], AfterValidator(_check_labels)]
_FileEvents = tuple[Annotated[_EventEntry, AfterValidator(_event)], ...]
