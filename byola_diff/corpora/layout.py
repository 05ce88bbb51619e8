"""Tables, lists and folders of a published data set, with errors that say what is wrong where."""

from collections.abc import Collection
from pathlib import Path

from byola_diff.audio.find import find_audio
from byola_diff.tables.rows import FIRST_ROW, located, read_rows


class LayoutError(ValueError):
    """A folder that is not laid out as its data set, or has no recording to be used."""


def read_columns(path: Path, names: Collection[str]) -> list[dict[str, str]]:
    """Rows of a CSV file; all columns of `names` are there and filled in each.

    Raises:
        LayoutError: If the file is missing or no CSV file, has no rows or uneven ones, or lacks a
            column or a cell.
    """
    if not path.is_file():
        raise LayoutError(f"no such file: {path}")
    with located(f"{path}: ", LayoutError):
        rows = read_rows(path, "table", [(name,) for name in names])
        for number, row in enumerate(rows, start=FIRST_ROW):
            if empty := [name for name in names if not row[name]]:
                raise ValueError(f"row {number}: nothing in column {', '.join(empty)}")
    return rows


def read_lines(path: Path) -> list[str]:
    """Lines of a text file without blanks at their ends; empty ones are left out.

    Raises:
        LayoutError: If the file is missing or is no text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise LayoutError(f"no such file: {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise LayoutError(f"{path} can't be read: {error}") from error
    return [line.strip() for line in lines if line.strip()]


def whole_number(cell: str, path: Path, what: str) -> int:
    """The number in a cell of the file at `path`; an error says what it should have been.

    Raises:
        LayoutError: If it is none.
    """
    try:
        return int(cell)
    except ValueError:
        raise LayoutError(f"{path}: {what}: {cell!r} is no whole number") from None


def audio_below(root: Path, folder: str) -> list[str]:
    """Audio files below `root / folder`, relative to `root`, sorted.

    Raises:
        LayoutError: If there is no such folder, or no audio in it.
    """
    try:
        files = [path.relative_to(root).as_posix() for path in find_audio(root / folder)]
    except NotADirectoryError as error:
        raise LayoutError(str(error)) from error
    if not files:
        raise LayoutError(f"no audio files in {root / folder}")
    return files


def folders_in(root: Path) -> list[str]:
    """Names of the folders in `root`, sorted, but for hidden ones.

    Raises:
        LayoutError: If `root` is no folder.
    """
    if not root.is_dir():
        raise LayoutError(f"no such folder: {root}")
    return sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
