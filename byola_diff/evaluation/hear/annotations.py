"""`{split}.json` and `labelvocabulary.csv` of a HEAR task, checked: who is labelled what."""

import csv
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from byola_diff.evaluation.hear.events import LabelledEvent
from byola_diff.evaluation.hear.task_metadata import (
    HearTaskError,
    Info,
    Milliseconds,
    TaskMetadata,
    read_json_object,
)
from byola_diff.tables.validation import FIRST_ROW, describe

Labels = tuple[str, ...]
Annotation = Labels | tuple[LabelledEvent, ...]
"""The labels of one file, or its events."""


def read_vocabulary(path: Path) -> Labels:
    """Labels in the order of their index, which the columns `idx,label` give.

    Raises:
        HearTaskError: If the file is missing or malformed, an index is missing, a label occurs
            twice, or there are fewer than two.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            rows, columns = list(reader), set(reader.fieldnames or ())
    except OSError as error:
        raise HearTaskError(f"{path}: unreadable: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise HearTaskError(f"{path}: unreadable: {error}") from error
    if not {"idx", "label"} <= columns:
        raise HearTaskError(f"{path}: must have the columns idx and label, not {sorted(columns)}")
    labels: dict[str, str] = {}
    for number, row in enumerate(rows, start=FIRST_ROW):
        index, label = row["idx"], row["label"]
        if not label or index in labels or label in labels.values():
            raise HearTaskError(f"{path}: row {number}: empty or repeated label or index: {row}")
        labels[index] = label
    numbers = [str(number) for number in range(len(labels))]
    if set(labels) != set(numbers) or len(labels) < 2:
        raise HearTaskError(
            f"{path}: column 'idx' must count from 0 on, for two labels or more: {list(labels)}"
        )
    return tuple(labels[number] for number in numbers)


def read_annotations(
    path: Path, metadata: TaskMetadata, vocabulary: Collection[str]
) -> dict[str, Annotation]:
    """Labels or events of each file of a split, in the order of the JSON file.

    Raises:
        HearTaskError: If the file is missing, malformed or empty, a label is outside the
            vocabulary, or a clip of several classes has not exactly one.
    """
    entries = read_json_object(path)
    if not entries:
        raise HearTaskError(f"{path}: empty split: no files")
    exactly_one = metadata.prediction_type == "multiclass"
    context = {"vocabulary": frozenset(vocabulary), "exactly_one": exactly_one}
    adapter: TypeAdapter[Any] = _LABELS if metadata.embedding_type == "scene" else _EVENTS
    try:
        annotations = adapter.validate_python(entries, context=context)
    except ValidationError as error:
        raise HearTaskError(describe(error, path)) from None
    if not any(annotations.values()):
        raise HearTaskError(f"{path}: empty split: no file has a label")
    return annotations


def _check_label(label: Any, info: Info) -> str:
    # Whole numbers occur, as pitches do: the vocabulary has them as text.
    if not isinstance(label, (str, int)) or str(label) not in info.context["vocabulary"]:
        raise ValueError(f"label {label!r} is not in the vocabulary")
    return str(label)


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


_LABELS = TypeAdapter(dict[str, Annotated[tuple[_Label, ...], AfterValidator(_check_labels)]])
_EVENTS = TypeAdapter(dict[str, tuple[Annotated[_EventEntry, AfterValidator(_event)], ...]])
