"""The manifest: one CSV file that says which clips a task has, their labels and their splits.

    file,label,split,group
    audio/dog-1.wav,dog,train,recording-17

`file` is relative to the manifest. `label` is one label, `labels` several with `;` between. `split`
is train, valid or test; `fold` is a whole number for cross-validation, which counts where there is
no split. Optional: `group` (clips that must stay on one side of a split, such as cuts of one
recording), `start_s` and `duration_s` (a part of the file, in seconds), `text`. EVAR's
`file_name,label` with `split` or `fold` is read as it is: a comma stands between several labels.

All readers of manifests take a row alike, or refuse it. A file is known by what its name leads to,
links followed, and its seconds are on one side of a split only. Everything is checked before any
work starts. Rows are counted as in a spreadsheet: the header is 1.
"""

import math
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from byola_diff.tables.rows import (
    FIRST_ROW,
    ClipFiles,
    Labels,
    Name,
    Row,
    Split,
    checked_row,
    located,
    read_rows,
    split_labels,
    write_rows,
)

_COLUMNS = [("file", "file_name"), ("label", "labels"), ("split", "fold")]
_OPTIONAL = ("group", "start_s", "duration_s", "text")
_KNOWN = {name for names in _COLUMNS for name in names} | {*_OPTIONAL}
_OTHER_TIMES = ("start_ms", "end_s", "end_ms", "duration_ms")
_EVAR = {"file": "file_name", "labels": "label"}

ROUNDING_S = 1e-3
"""By how much times may be off that were rounded."""

Seconds = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class ManifestError(ValueError):
    """A manifest that can't be used: where, and why."""


@dataclass(frozen=True)
class Clip:
    """One row: a file, or a part of it, with its labels."""

    file: str
    """Relative to the root of the manifest."""
    labels: Labels
    split: Split | None = None
    fold: Annotated[int, BeforeValidator(int)] | None = None
    group: Name | None = None
    start_s: Seconds | None = None
    duration_s: Annotated[Seconds, Field(gt=0)] | None = None
    text: str | None = None


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
    path: Path | str,
    *,
    root: Path | str | None = None,
    required_splits: Collection[str] = (),
    with_splits: bool = True,
    root_option: str | None = None,
) -> Manifest:
    """The manifest at `path`, checked.

    Files are relative to `root`, or else to the folder of the manifest. None may lie outside, not
    even through a link. What needs labels alone can do without a column of splits or folds. If a
    file is missing, the error names the `root_option` by which users set another root, if any.

    Raises:
        ManifestError: If a column or file is missing, a path leaves the root, a label is empty, a
            split is unknown, or required and without clips, a stretch of a file occurs twice,
            seconds of a file or clips of a group occur in two splits or folds, or a label or group
            has an invisible character. The message names row and column.
    """
    path = Path(path)
    root = path.parent if root is None else Path(root)
    remedy = f"files are relative to {root}, or to {root_option}" if root_option else ""
    files, clips = ClipFiles(root, remedy), []
    with located(f"{path}: ", ManifestError):
        rows = read_rows(path, "manifest", _COLUMNS if with_splits else _COLUMNS[:2])
        _check_header(rows[0])
        columns = {"file": _name(rows[0], *_COLUMNS[0]), "labels": _name(rows[0], *_COLUMNS[1])}
        for number, row in enumerate(rows, start=FIRST_ROW):
            with located(f"row {number}, "):
                clip = _clip(row, columns)
                with located(f"column {columns['file']!r}: "):
                    clips.append(replace(clip, file=files.check(clip.file)))
        check_files_once(clips, columns["file"], files)
        check_groups(clips)
        if with_splits:
            check_splits(clips, required_splits)
    classes = sorted({label for clip in clips for label in clip.labels})
    return Manifest(root, tuple(clips), tuple(classes))


def write_manifest(path: Path | str, clips: Iterable[Clip]) -> None:
    """Write `clips`, whose files are relative to the manifest, with the columns they need.

    Raises:
        ValueError: If there is no clip, a clip has no label, one of several labels has a `;`, or
            `read_manifest` would refuse a label or another cell.
    """
    with located(f"{path}: "):
        rows = [{name: v for name, v in vars(clip).items() if v is not None} for clip in clips]
        clips = [checked_row(Clip, row) for row in rows]
    if not clips or not all(clip.labels and all(clip.labels) for clip in clips):
        raise ValueError(f"{path}: every manifest has clips, and every clip has labels")
    several = any(len(clip.labels) > 1 for clip in clips)
    if several and any(";" in label for clip in clips for label in clip.labels):
        raise ValueError(f"{path}: among several labels, none may have a ';'")
    names = ("split", "fold", *_OPTIONAL)
    used = [name for name in names if any(getattr(clip, name) is not None for clip in clips)]
    header = ["file", "labels" if several else "label", *used]
    rows = [
        [clip.file, ";".join(clip.labels), *(getattr(clip, name) for name in used)]
        for clip in clips
    ]
    write_rows(path, header, rows)


def check_files_once(clips: Sequence[Clip], column: str, files: ClipFiles) -> None:
    """Raise `ValueError` if a stretch of a file occurs in two rows, or its seconds on two sides.

    Clips may overlap that are all for training. `files` are those of this column.
    """
    stretches: dict[Hashable, dict[float, tuple[int, Clip]]] = {}
    for row, clip in enumerate(clips, start=FIRST_ROW):
        by_start = stretches.setdefault(files.identity(clip.file), {})
        first, _ = by_start.setdefault(clip.start_s or 0.0, (row, clip))
        if first != row:
            where = "" if clip.start_s is None else f" from {clip.start_s} s on"
            what = f"{clip.file!r}{where} is in row {first} too"
            remedy = "parts of one file need a column start_s"
            raise ValueError(f"row {row}, column {column!r}: {what}; {remedy}")
    for by_start in stretches.values():
        _check_overlaps([by_start[start_s] for start_s in sorted(by_start)], column)


def _check_overlaps(stretches: Sequence[tuple[int, Clip]], column: str) -> None:
    """Raise `ValueError` if seconds are on two sides, for clips of one file by their start."""
    latest: dict[str, tuple[float, int]] = {}
    for row, clip in stretches:
        side = f"split {clip.split}" if clip.split else f"fold {clip.fold}"
        start_s = clip.start_s or 0.0
        end_s = math.inf if clip.duration_s is None else start_s + clip.duration_s
        for other, (until_s, before) in latest.items():
            if other != side and min(until_s, end_s) - start_s > ROUNDING_S + 1e-9:
                raise ValueError(
                    f"row {row}, column {column!r}: leaking seconds, {clip.file!r} from {start_s} "
                    f"s on is in {side} here and in {other} in row {before}"
                )
        latest[side] = max((end_s, row), latest.get(side, (0.0, row)))


def check_groups(clips: Sequence[Clip]) -> None:
    """Raise `ValueError` if a group has clips in two splits or in two folds."""
    for side in ("split", "fold"):
        seen: dict[str, tuple[int, str | int]] = {}
        for row, clip in enumerate(clips, start=FIRST_ROW):
            value = getattr(clip, side)
            if clip.group is None or value is None:
                continue
            first_row, first = seen.setdefault(clip.group, (row, value))
            if first != value:
                raise ValueError(
                    f"row {row}, column 'group': leaking group {clip.group!r}, "
                    f"in {side} {value} here and in {side} {first} in row {first_row}"
                )


def check_splits(clips: Sequence[Clip], required: Collection[str]) -> None:
    """Raise `ValueError` if a required split has no clips, or all clips share one fold."""
    present = {clip.split for clip in clips}
    if missing := [split for split in required if split not in present]:
        raise ValueError(f"column 'split': empty split, no row has {' or '.join(missing)}")
    folds = {clip.fold for clip in clips}
    if len(folds) == 1 and None not in folds:
        only = folds.pop()
        raise ValueError(f"column 'fold': only fold {only}, which leaves none to train on")


def check_one_label(clips: Sequence[Clip], why: str) -> None:
    """Raise `ValueError` if a clip has several labels; `why` says what needs one."""
    for row, clip in enumerate(clips, start=FIRST_ROW):
        if len(clip.labels) != 1:
            several = ", ".join(clip.labels) or "none"
            raise ValueError(f"row {row}: {why} needs one label per clip, not {several}")


def check_whole(clips: Sequence[Clip], why: str) -> None:
    """Raise `ValueError` if a clip is a part of its file; `why` says what takes files whole."""
    for row, clip in enumerate(clips, start=FIRST_ROW):
        for column in ("start_s", "duration_s"):
            if getattr(clip, column) is not None:
                remedy = "cut the file, or leave the cell empty"
                raise ValueError(f"row {row}, column {column!r}: {why} takes whole files: {remedy}")


def _check_header(row: Row) -> None:
    """Raise `ValueError` for a column that would not be read, but whose name says it should be."""
    for name in row:
        if (meant := name.lower()) in _OTHER_TIMES:
            raise ValueError(f"row 1: column {name!r} must be start_s or duration_s, in seconds")
        if meant in _KNOWN and name != meant:
            raise ValueError(f"row 1: column {name!r} must be called {meant!r}")


def _name(row: Row, one: str, other: str) -> str:
    """Which of two names for a column the table uses."""
    if one in row and other in row:
        raise ValueError(f"row 1: may have only one column {one} or {other}")
    return one if one in row else other


def _clip(row: Row, columns: dict[str, str]) -> Clip:
    cell = row[columns["labels"]]
    labels = [cell]
    if columns["labels"] == "labels" and cell:
        labels = split_labels(cell)
    elif columns == _EVAR:
        labels = [label.strip() for label in cell.split(",")]
    values = {"file": row[columns["file"]], "labels": labels}
    values |= {name: row[name] for name in ("split", "fold") if name in row}
    values |= {name: row[name] for name in _OPTIONAL if row.get(name)}
    return checked_row(Clip, values, columns)
