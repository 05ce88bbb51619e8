"""`{split}.json` and `labelvocabulary.csv` of a HEAR task, checked: who is labelled what."""

import csv
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from byola_diff.evaluation.hear.events import Event
from byola_diff.evaluation.hear.task_metadata import (
    HearTaskError,
    TaskMetadata,
    read_json_object,
)

Labels = tuple[str, ...]
Annotation = Labels | tuple[Event, ...]
"""Of one file: its labels, or its events."""


def read_vocabulary(path: Path) -> Labels:
    """Labels in the order of their index, which the columns `idx,label` give.

    Raises:
        HearTaskError: If the file is missing or malformed, an index is missing, a label occurs
            twice, or there are fewer than two.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            rows = list(reader)
            columns = set(reader.fieldnames or ())
    except OSError as error:
        raise HearTaskError(path, f"unreadable: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise HearTaskError(path, f"unreadable: {error}") from error
    if not {"idx", "label"} <= columns:
        raise HearTaskError(path, f"must have the columns idx and label, not {sorted(columns)}")
    labels: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        if not row["label"] or row["idx"] in labels or row["label"] in labels.values():
            raise HearTaskError(path, f"row {number}: empty or repeated label or index: {row}")
        labels[row["idx"]] = row["label"]
    numbers = [str(number) for number in range(len(labels))]
    if set(labels) != set(numbers) or len(labels) < 2:
        raise HearTaskError(
            path, f"column idx must count from 0 on, for two labels or more: {rows}"
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
        raise HearTaskError(path, "empty split: no files")
    known = frozenset(vocabulary)
    annotations: dict[str, Annotation] = {}
    for file, entry in entries.items():
        try:
            if metadata.embedding_type == "event":
                annotations[file] = _events(entry, known)
            else:
                annotations[file] = _labels(entry, known, metadata.prediction_type == "multiclass")
        except ValueError as error:
            raise HearTaskError(path, f"entry {file!r}: {error}") from None
    if not any(annotations.values()):
        raise HearTaskError(path, "empty split: no file has a label")
    return annotations


def _labels(entry: Any, vocabulary: frozenset[str], exactly_one: bool) -> Labels:
    if not isinstance(entry, list):
        raise ValueError(f"must be a list of labels, not {entry!r}")
    labels = tuple(_label(value, vocabulary) for value in entry)
    if exactly_one and len(labels) != 1:
        raise ValueError(f"must have exactly one label, as the task is multiclass: {entry}")
    if len(set(labels)) < len(labels):
        raise ValueError(f"a label occurs twice: {entry}")
    return labels


def _events(entry: Any, vocabulary: frozenset[str]) -> tuple[Event, ...]:
    if not isinstance(entry, list):
        raise ValueError(f"must be a list of events, not {entry!r}")
    return tuple(_event(value, vocabulary) for value in entry)


def _event(value: Any, vocabulary: frozenset[str]) -> Event:
    if not isinstance(value, Mapping) or not {"label", "start", "end"} <= value.keys():
        raise ValueError(f"an event needs label, start and end: {value!r}")
    start_ms, end_ms = value["start"], value["end"]
    if not (isinstance(start_ms, (int, float)) and isinstance(end_ms, (int, float))):
        raise ValueError(f"start and end must be ms: {value!r}")
    if not 0 <= start_ms <= end_ms < math.inf:
        raise ValueError(f"start and end must be ms, and in order: {value!r}")
    return Event(_label(value["label"], vocabulary), float(start_ms), float(end_ms))


def _label(value: Any, vocabulary: frozenset[str]) -> str:
    # Whole numbers occur, as pitches do: the vocabulary has them as text.
    label = str(value)
    if not isinstance(value, (str, int)) or label not in vocabulary:
        raise ValueError(f"label {value!r} is not in the vocabulary")
    return label
