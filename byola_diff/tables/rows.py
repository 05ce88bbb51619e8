"""CSV tables with one checked object to a row: reading, writing, and faults by row and column.

Rows are counted as in a spreadsheet: the header is 1. Whatever is raised here is a `ValueError`
that does not know the path of the table; its reader adds that with `located`.
"""

import csv
import io
import os
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import SimpleNamespace
from typing import Annotated, Any, TypeVar
from unicodedata import category, normalize

from pydantic import AfterValidator, StringConstraints, TypeAdapter, ValidationError

from byola_diff.atomic import UNDECODABLE, atomic_path
from byola_diff.tables.validation import fault, reason

SPLITS = ("train", "valid", "test")
FIRST_ROW = 2
"""Number of the row below the header."""

_SAVE = "save it as 'CSV UTF-8', with commas between the cells"
_OTHER_MARKS = {";": "';'", "\t": "tabs", "|": "'|'"}
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")
# Blanks that are no separators to Unicode, and what picks the variant of the character before it.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0]")

Row = dict[str, str]
T = TypeVar("T")


def _known_split(split: str) -> str:
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}, not one of {', '.join(SPLITS)}")
    return split


def visible(text: str) -> str:
    """The text in Unicode's form NFC, in which equal letters are equal characters.

    Raises:
        ValueError: If it has a character that can't be seen, or not be told from a space.
    """
    for character in "" if text.isascii() and text.isprintable() else text:
        if character != " " and (category(character) in _UNSEEN or _BLANK.match(character)):
            code = f"U+{ord(character):04X}"
            raise ValueError(f"invisible character {code} in {text!a}: remove it")
    return normalize("NFC", text)


def _distinct_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    labels = tuple(map(visible, labels))
    if not all(label.strip() for label in labels):
        raise ValueError(f"empty label in {';'.join(labels)!r}")
    if len(set(labels)) < len(labels):
        raise ValueError(f"a label occurs twice in {';'.join(labels)!r}")
    return labels


Split = Annotated[str, AfterValidator(_known_split)]
NotEmpty = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Name = Annotated[str, AfterValidator(visible)]
Labels = Annotated[tuple[str, ...], AfterValidator(_distinct_labels)]


@contextmanager
def located(where: str, kind: type[ValueError] = ValueError) -> Iterator[None]:
    """A block whose `ValueError`s become errors of a kind, with the place before the message."""
    try:
        yield
    except ValueError as error:
        raise kind(f"{where}{fault(error)}") from error.__cause__


def read_rows(path: Path, what: str, required: Iterable[Sequence[str]]) -> list[Row]:
    """The rows of a CSV file, at least one and none with a missing or surplus cell; texts in NFC.

    Args:
        path: The file; a byte order mark of Excel and empty last lines do not matter.
        what: Name of such a table, for errors.
        required: Columns that must be there, each as the names that it may have.

    Raises:
        ValueError: If the file can't be read, lacks a column, or has no rows or uneven ones; in
            other forms that Excel writes, it says which to take.
    """
    first, *lines = _cells(path, what) or [[]]
    if first and first[0].lower().startswith("sep="):
        raise ValueError(f"row 1: {first[0]!r} is a line for Excel alone: remove it, or {_SAVE}")
    if len(first) == 1 and (found := [m for m in _OTHER_MARKS if m in first[0].strip()]):
        raise ValueError(f"row 1: {_OTHER_MARKS[found[0]]} between the cells: {_SAVE}")
    with located("row 1: "):
        header = [visible(name.strip()) for name in first]
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
    lines = [[normalize("NFC", cell.strip()) for cell in cells] for cells in lines]
    return [dict(zip(header, cells, strict=True)) for cells in lines]


def _cells(path: Path, what: str) -> list[list[str]]:
    """All cells of a CSV file; `ValueError` if it can't be read, or is UTF-16."""
    try:
        content = path.read_bytes()
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            reason = "UTF-16 with a byte order mark, as Excel's 'Unicode text'"
            raise ValueError(f"unreadable {what}: {reason}: {_SAVE}")
        if b"\0" in content:
            reason = "it has NUL characters, as UTF-16 without a byte order mark"
            raise ValueError(f"unreadable {what}: {reason}: {_SAVE}")
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
        return [*csv.reader(text, strict=True)]
    except UnicodeDecodeError as error:
        raise ValueError(f"unreadable {what}: not UTF-8: {error}: {_SAVE}") from error
    except (OSError, csv.Error) as error:
        raise ValueError(f"unreadable {what}: {error}") from error


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


class AbsentFileError(ValueError):
    """There is no such file."""


class ClipFiles:
    """Which files exist below a root, links followed; their names are compared in NFC."""

    def __init__(self, root: Path, remedy: str = "") -> None:
        """`remedy` is said where a file does not exist."""
        self.root, self._remedy = root, remedy
        self._real_root = root.resolve()
        self._real_folder = lru_cache(maxsize=None)(Path.resolve)
        self._names_in = lru_cache(maxsize=None)(_names_in)

    def check(self, file: str) -> str:
        """The name as the disk spells it; `ValueError` unless it is of a file below the root."""
        if not file:
            raise ValueError("empty")
        if PurePosixPath(file).is_absolute() or PureWindowsPath(file).anchor:
            raise ValueError(f"{file!r} is absolute, not relative to {self.root}")
        if ".." in PureWindowsPath(file).parts:  # splits at both kinds of slash
            raise ValueError(f"{file!r} has '..'")
        if not file.isascii():
            file = self._spelled(file)
        path = self.root / file
        # Not Path.is_file, which raises where a name is too long for the disk.
        if not os.path.isfile(path):  # noqa: PTH113
            shown = str(path)
            shown = shown if shown.isprintable() else ascii(shown)
            raise AbsentFileError("; ".join(filter(None, [f"no such file: {shown}", self._remedy])))
        if not (real := self._real(file)).is_relative_to(self._real_root):
            raise ValueError(f"{file!r} leaves {self.root} through a link to {real}")
        return file

    def identity(self, file: str) -> Hashable:
        """What a file is known by, the same for all links to it."""
        status = (real := self._real(file)).stat()
        return real if status.st_nlink == 1 else (status.st_dev, status.st_ino)

    def _real(self, file: str) -> Path:
        path = self.root / file
        # Folders are resolved once each: resolving takes longer than all other checks together.
        return path.resolve() if path.is_symlink() else self._real_folder(path.parent) / path.name

    def _spelled(self, file: str) -> str:
        """The same name as the disk spells it, in whichever form of Unicode."""
        path = PurePosixPath()
        for part in PurePosixPath(file).parts:
            names = self._names_in(self.root / path).get(normalize("NFC", part), [part])
            if len(names) > 1:
                raise ValueError(f"{file!r} may be any of {names}, which look alike: rename them")
            path /= names[0]
        return str(path)


def _names_in(folder: Path) -> dict[str, list[str]]:
    """Names in a folder by their form NFC; none where there is no folder."""
    found: dict[str, list[str]] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        found.setdefault(normalize("NFC", path.name), []).append(path.name)
    return found
