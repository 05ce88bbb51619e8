"""What a manifest has in a row, and its table of text before the cells are understood."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FIRST_ROW = 2
"""Number of the row below the header, as a spreadsheet counts."""

Row = dict[str, str]


class ManifestError(ValueError):
    """A manifest that can't be used: where, and why."""


@dataclass(frozen=True)
class Clip:
    """One row: a file, or a part of it, with its labels."""

    file: str
    """Relative to the root of the manifest."""
    labels: tuple[str, ...]
    split: str | None = None
    fold: int | None = None
    group: str | None = None
    start_s: float | None = None
    duration_s: float | None = None
    text: str | None = None


def read_table(path: Path) -> tuple[dict[str, str], list[Row]]:
    """Names of the file and label columns, and all rows, none with a missing or surplus cell."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, strict=True)
            header = [name.strip() for name in next(reader, [])]
            columns = _columns(path, header)
            lines = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"{path}: unreadable manifest: {error}") from error
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise ManifestError(f"{path}: has no rows below the header")
    rows = []
    for number, cells in enumerate(lines, start=FIRST_ROW):
        if len(cells) != len(header):
            reason = f"{len(cells)} cells under {len(header)} columns"
            raise ManifestError(f"{path}: row {number}: {reason}")
        rows.append({name: cell.strip() for name, cell in zip(header, cells, strict=True)})
    return columns, rows


def _columns(path: Path, header: Sequence[str]) -> dict[str, str]:
    """Which of the allowed names the header uses for file and label."""
    if len(set(header)) < len(header):
        raise ManifestError(f"{path}: row 1: a column name occurs twice in {', '.join(header)}")
    found = {}
    for what, names in {"file": ("file", "file_name"), "label": ("label", "labels")}.items():
        present = [name for name in names if name in header]
        if len(present) != 1:
            problem = "has no column" if not present else "may have only one column"
            raise ManifestError(f"{path}: row 1: {problem} {' or '.join(names)}")
        found[what] = present[0]
    if "split" not in header and "fold" not in header:
        raise ManifestError(f"{path}: row 1: has no column split or fold")
    return found
