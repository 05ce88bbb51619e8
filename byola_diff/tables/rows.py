"""CSV tables with one checked object to a row: reading, writing, and faults by row and column.

Rows are counted as in a spreadsheet: the header is 1. Whatever is raised here is a `ValueError`
that does not know the path of the table; its reader adds that with `located`.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import SimpleNamespace
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, StringConstraints, TypeAdapter, ValidationError

from byola_diff.atomic import UNDECODABLE, atomic_path
from byola_diff.tables.validation import fault, reason

SPLITS = ("train", "valid", "test")
FIRST_ROW = 2
"""Number of the row below the header."""

Row = dict[str, str]
T = TypeVar("T")


def _known_split(split: str) -> str:
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}, not one of {', '.join(SPLITS)}")
    return split


def _distinct_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    if not all(label.strip() for label in labels):
        raise ValueError(f"empty label in {';'.join(labels)!r}")
    if len(set(labels)) < len(labels):
        raise ValueError(f"a label occurs twice in {';'.join(labels)!r}")
    return labels


Split = Annotated[str, AfterValidator(_known_split)]
NotEmpty = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Labels = Annotated[tuple[str, ...], AfterValidator(_distinct_labels)]


@contextmanager
def located(where: str, kind: type[ValueError] = ValueError) -> Iterator[None]:
    """A block whose `ValueError`s become errors of a kind, with the place before the message."""
    try:
        yield
    except ValueError as error:
        raise kind(f"{where}{fault(error)}") from error.__cause__


def read_rows(path: Path, what: str, required: Iterable[Sequence[str]]) -> list[Row]:
    """The rows of a CSV file, at least one and none with a missing or surplus cell.

    Args:
        path: The file; a byte order mark of Excel and empty last lines do not matter.
        what: Name of such a table, for errors.
        required: Columns that must be there, each as the names that it may have.

    Raises:
        ValueError: If the file can't be read, lacks a column, or has no rows or uneven ones.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            first, *lines = [*csv.reader(stream, strict=True)] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"unreadable {what}: {error}") from error
    header = [name.strip() for name in first]
    if missing := [" or ".join(names) for names in required if not {*names} & {*header}]:
        raise ValueError(f"row 1: has no column {', '.join(missing)}")
    if len(set(header)) < len(header):
        raise ValueError(f"row 1: a column name occurs twice in {', '.join(header)}")
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise ValueError("has no rows below the header")
    for number, cells in enumerate(lines, start=FIRST_ROW):
        if len(cells) != len(header):
            raise ValueError(f"row {number}: {len(cells)} cells under {len(header)} columns")
    return [dict(zip(header, map(str.strip, cells), strict=True)) for cells in lines]


def checked_row(
    kind: type[T], values: Mapping[str, Any], columns: Mapping[str, str] | None = None
) -> T:
    """The object of a row, made of the values of its fields; what is no field is not read.

    Raises:
        ValueError: If a value can't be of its field; names the column, which `columns` has for each
            field of another name.
    """
    try:
        return _validator(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][0])
        column = (columns or {}).get(field, field)
        raise ValueError(f"column {column!r}: {reason(first)}") from None


_validator = lru_cache(maxsize=None)(TypeAdapter)


def split_labels(cell: str) -> list[str]:
    """Labels of a cell with `;` between."""
    return [label.strip() for label in cell.split(";")] if cell else []


def write_rows(path: Path | str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file that is there as a whole or not at all."""
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors=UNDECODABLE) as stream,
    ):
        # A writer quotes the characters that end its lines: to quote \r too, it gets both.
        lines = SimpleNamespace(write=lambda line: stream.write(line.removesuffix("\r\n") + "\n"))
        writer = csv.writer(lines, lineterminator="\r\n")  # pyright: ignore
        writer.writerows([header, *rows])


class ClipFiles:
    """Whether files exist below a root, links followed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._real_root = root.resolve()
        self._real_folder = lru_cache(maxsize=None)(Path.resolve)

    def check(self, file: str) -> None:
        """Raise `ValueError` unless `file` names an existing file below the root."""
        if not file:
            raise ValueError("empty")
        if PurePosixPath(file).is_absolute() or PureWindowsPath(file).anchor:
            raise ValueError(f"{file!r} is absolute, not relative to {self.root}")
        if ".." in PureWindowsPath(file).parts:  # splits at both kinds of slash
            raise ValueError(f"{file!r} has '..'")
        path = self.root / file
        if not path.is_file():
            raise ValueError(f"no such file: {path}")
        # Folders are resolved once each: resolving takes longer than all other checks together.
        real = path.resolve() if path.is_symlink() else self._real_folder(path.parent)
        if not real.is_relative_to(self._real_root):
            raise ValueError(f"{file!r} leaves {self.root} through a link to {real}")
