"""The manifest: one CSV file that says which clips a task has, their labels and their splits.

    file,label,split,group
    audio/dog-1.wav,dog,train,recording-17

`file` is relative to the manifest. `label` is one label, `labels` several with `;` between. `split`
is train, valid or test; `fold` is a whole number for cross-validation. Optional: `group` (clips
that must stay on one side of a split, such as cuts of one recording), `start_s` and `duration_s` (a
part of the file), `text`. EVAR's `file_name,label` with `split` or `fold` is read as it is.

Everything is checked before any work starts. Rows are counted as in a spreadsheet: the header is 1.
"""

import csv
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from byola_diff.atomic import atomic_path
from byola_diff.tables.manifest_checks import (
    ClipFiles,
    check_files_once,
    check_groups,
    check_splits,
)
from byola_diff.tables.manifest_table import FIRST_ROW, Clip, ManifestError, Row, read_table

SPLITS = ("train", "valid", "test")

_OPTIONAL = ("group", "start_s", "duration_s", "text")


@dataclass(frozen=True)
class Manifest:
    """Clips of a task in the order of the file."""

    root: Path
    clips: tuple[Clip, ...]
    classes: tuple[str, ...]
    """All labels, sorted."""

    def path(self, clip: Clip) -> Path:
        """Audio file of a clip."""
        return self.root / clip.file

    def in_split(self, split: str) -> tuple[Clip, ...]:
        """Clips of a split, perhaps none."""
        return tuple(clip for clip in self.clips if clip.split == split)

    @property
    def folds(self) -> tuple[int, ...]:
        """Folds that occur, sorted."""
        return tuple(sorted({clip.fold for clip in self.clips if clip.fold is not None}))


def read_manifest(
    path: Path | str, *, root: Path | str | None = None, required_splits: Collection[str] = ()
) -> Manifest:
    """The manifest at `path`, checked.

    Args:
        path: The CSV file.
        root: Folder that `file` is relative to, if not that of the manifest. No file may lie
            outside, not even through a link.
        required_splits: Splits that must have clips.

    Raises:
        ManifestError: If a column or file is missing, a path leaves the root, a label is empty, a
            split is unknown or without clips, a file occurs twice as a whole, or a group occurs in
            two splits or folds. The message names row and column.
    """
    path = Path(path)
    root = path.parent if root is None else Path(root)
    columns, rows = read_table(path)
    files = ClipFiles(root)
    clips = []
    for number, row in enumerate(rows, start=FIRST_ROW):
        try:
            clips.append(_clip(row, columns))
            files.check(clips[-1].file)
        except _CellError as error:
            raise ManifestError(f"{path}: row {number}, {error}") from None
        except ValueError as error:
            raise ManifestError(
                f"{path}: row {number}, column {columns['file']!r}: {error}"
            ) from None
    try:
        check_files_once(clips, columns["file"])
        check_groups(clips)
        check_splits(clips, required_splits)
    except ValueError as error:
        raise ManifestError(f"{path}: {error}") from None
    classes = sorted({label for clip in clips for label in clip.labels})
    return Manifest(root, tuple(clips), tuple(classes))


def write_manifest(path: Path | str, clips: Iterable[Clip]) -> None:
    """Write `clips`, whose files are relative to the manifest, with the columns they need.

    Raises:
        ValueError: If there is no clip, a clip has no label, or one of several labels has a `;`.
    """
    clips = list(clips)
    if not clips or not all(clip.labels and all(clip.labels) for clip in clips):
        raise ValueError(f"{path}: every manifest has clips, and every clip has labels")
    several = any(len(clip.labels) > 1 for clip in clips)
    if several and any(";" in label for clip in clips for label in clip.labels):
        raise ValueError(f"{path}: among several labels, none may have a ';'")
    names = ("split", "fold", *_OPTIONAL)
    used = [name for name in names if any(getattr(clip, name) is not None for clip in clips)]
    header = ["file", "labels" if several else "label", *used]
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        for clip in clips:
            writer.writerow([clip.file, ";".join(clip.labels), *(getattr(clip, n) for n in used)])


class _CellError(ValueError):
    """What is wrong with a cell; the caller knows the row."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(f"column {column!r}: {reason}")


def _clip(row: Row, columns: dict[str, str]) -> Clip:
    label_column = columns["label"]
    cell = row[label_column]
    labels = [part.strip() for part in cell.split(";")] if label_column == "labels" else [cell]
    if not all(labels):
        raise _CellError(label_column, f"empty label in {cell!r}")
    if len(set(labels)) < len(labels):
        raise _CellError(label_column, f"a label occurs twice in {cell!r}")
    split = row.get("split")
    if split is not None and split not in SPLITS:
        raise _CellError("split", f"unknown split {split!r}, not one of {', '.join(SPLITS)}")
    return Clip(
        file=row[columns["file"]],
        labels=tuple(labels),
        split=split,
        fold=_fold(row),
        group=row.get("group") or None,
        start_s=_seconds(row, "start_s", least=0.0),
        duration_s=_seconds(row, "duration_s", least=math.ulp(0.0)),
        text=row.get("text") or None,
    )


def _fold(row: Row) -> int | None:
    if "fold" not in row:
        return None
    try:
        return int(row["fold"])
    except ValueError:
        raise _CellError("fold", f"{row['fold']!r} is no whole number") from None


def _seconds(row: Row, column: str, least: float) -> float | None:
    cell = row.get(column)
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        raise _CellError(column, f"{cell!r} is no number") from None
    if not least <= value < math.inf:
        raise _CellError(column, f"{cell} s is out of range")
    return value
