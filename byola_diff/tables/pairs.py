"""The pair table: one CSV file of pairs of clips that differ, each with a text of the difference.

    pair,scene,split,first,second,first_labels,second_labels,text
    rain_00000,rain,train,wav/dev/rain_00000_s1.wav,wav/dev/rain_00000_s2.wav,dog;birds,birds,...

`first` and `second` are relative to the table. Labels are the sound events of each clip, with `;`
between; one of the two clips may have none. `split` is train, valid or test. Other columns are
allowed and not read. Everything is checked before any work starts; rows are counted as in a
spreadsheet: the header is 1.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath

from byola_diff.atomic import atomic_path
from byola_diff.tables.manifest import SPLITS
from byola_diff.tables.manifest_checks import ClipFiles
from byola_diff.tables.manifest_table import FIRST_ROW, ManifestError, Row


@dataclass(frozen=True)
class Pair:
    """One row: the text says how to get from the first clip to the second."""

    name: str
    """Of its own, in the whole table."""
    scene: str
    """What the backgrounds are, such as rain: pairs of a scene are searched among each other."""
    split: str
    first: str
    """Relative to the root of the table."""
    second: str
    first_labels: tuple[str, ...]
    second_labels: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class PairTable:
    """Pairs in the order of the file."""

    root: Path
    pairs: tuple[Pair, ...]
    classes: tuple[str, ...]
    """All labels, sorted."""

    @property
    def scenes(self) -> tuple[str, ...]:
        """Scenes that occur, sorted."""
        return tuple(sorted({pair.scene for pair in self.pairs}))

    def of_scene(self, scene: str) -> "PairTable":
        """The pairs of one scene alone, with the labels that occur in them."""
        return _table(self.root, [pair for pair in self.pairs if pair.scene == scene])

    def in_split(self, split: str) -> tuple[Pair, ...]:
        """Pairs of a split, perhaps none."""
        return tuple(pair for pair in self.pairs if pair.split == split)


class PairError(ManifestError):
    """A pair table that can't be used: where, and why."""


COLUMNS = ("pair", *(field.name for field in fields(Pair) if field.name != "name"))
"""Of the CSV file; they are the fields of `Pair`, whose name is the column `pair`."""


def read_pairs(path: Path | str, root: Path | str | None = None) -> PairTable:
    """The pair table at `path`, checked.

    Args:
        path: The CSV file.
        root: Folder that the clips are relative to, if not that of the table. No clip may lie
            outside, not even through a link.

    Raises:
        PairError: If a column or file is missing, a path leaves the root, a split is unknown, a
            name, scene or text is empty, neither clip has a label, a label is empty or occurs twice
            in a clip, a pair's name or second clip occurs twice, or a clip is in two splits. The
            message names row and column.
    """
    path = Path(path)
    root = path.parent if root is None else Path(root)
    files = ClipFiles(root)
    pairs = []
    for number, row in enumerate(_rows(path), start=FIRST_ROW):
        try:
            pairs.append(pair := _pair(row))
            _check_cells(pair)
            for column in ("first", "second"):
                _in_column(column, files.check, getattr(pair, column))
        except ValueError as error:
            raise PairError(f"{path}: row {number}, {error}") from None
    try:
        _check_together(pairs)
    except ValueError as error:
        raise PairError(f"{path}: {error}") from None
    return _table(root, pairs)


def write_pairs(
    path: Path | str, pairs: Sequence[Pair], extra: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Write `pairs`, whose clips are relative to the table; the files need not exist yet.

    Args:
        path: The CSV file.
        pairs: Its rows.
        extra: More columns by name, each with a cell for every pair.

    Raises:
        ValueError: If there is no pair, a pair is one that `read_pairs` would refuse, or an extra
            column has another length or a name that is taken.
    """
    extra = dict(extra or {})
    if not pairs:
        raise ValueError(f"{path}: a table has pairs")
    for name, cells in extra.items():
        if name in COLUMNS or len(cells) != len(pairs):
            raise ValueError(f"{path}: column {name!r} is taken, or not of {len(pairs)} cells")
    try:
        for number, pair in enumerate(pairs, start=FIRST_ROW):
            _in_row(number, _check_cells, pair)
        _check_together(pairs)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*COLUMNS, *extra])
        for pair, *cells in zip(pairs, *extra.values(), strict=True):
            values = (getattr(pair, field.name) for field in fields(Pair))
            writer.writerow([*(v if isinstance(v, str) else ";".join(v) for v in values), *cells])


def _table(root: Path, pairs: Sequence[Pair]) -> PairTable:
    classes = {label for pair in pairs for label in (*pair.first_labels, *pair.second_labels)}
    return PairTable(root, tuple(pairs), tuple(sorted(classes)))


def _rows(path: Path) -> list[Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            header, *lines = csv.reader(stream, strict=True)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PairError(f"{path}: unreadable pair table: {error}") from error
    except ValueError:  # nothing to unpack
        header, lines = [], []
    header = [name.strip() for name in header]
    if missing := [name for name in COLUMNS if name not in header]:
        raise PairError(f"{path}: row 1: has no column {', '.join(missing)}")
    if len(set(header)) < len(header):
        raise PairError(f"{path}: row 1: a column name occurs twice in {', '.join(header)}")
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise PairError(f"{path}: has no rows below the header")
    for number, cells in enumerate(lines, start=FIRST_ROW):
        if len(cells) != len(header):
            reason = f"{len(cells)} cells under {len(header)} columns"
            raise PairError(f"{path}: row {number}: {reason}")
    return [dict(zip(header, (cell.strip() for cell in cells), strict=True)) for cells in lines]


def _pair(row: Row) -> Pair:
    def labels(column: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in row[column].split(";")) if row[column] else ()

    return Pair(
        name=row["pair"],
        first_labels=labels("first_labels"),
        second_labels=labels("second_labels"),
        **{name: row[name] for name in ("scene", "split", "first", "second", "text")},
    )


def _check_cells(pair: Pair) -> None:
    """Raise `ValueError`, which names the column, if a value of the pair can't be."""
    for column, cell in (("pair", pair.name), ("scene", pair.scene), ("text", pair.text)):
        if not cell.strip():
            raise ValueError(f"column {column!r}: empty")
    if pair.split not in SPLITS:
        raise ValueError(
            f"column 'split': unknown split {pair.split!r}, not one of {', '.join(SPLITS)}"
        )
    for column in ("first_labels", "second_labels"):
        labels = getattr(pair, column)
        if not all(label.strip() and ";" not in label for label in labels):
            raise ValueError(f"column {column!r}: a label in {labels} is empty or has a ';'")
        if len(set(labels)) < len(labels):
            raise ValueError(f"column {column!r}: a label occurs twice in {';'.join(labels)!r}")
    if not pair.first_labels and not pair.second_labels:
        raise ValueError("column 'first_labels': empty, and so is 'second_labels'")
    if PurePosixPath(pair.first) == PurePosixPath(pair.second):
        raise ValueError(f"column 'second': {pair.second!r} is the first clip too")


def _check_together(pairs: Sequence[Pair]) -> None:
    """Raise `ValueError`, which names row and column, if pairs do not go together."""
    names: dict[str, int] = {}
    seconds: dict[PurePosixPath, int] = {}
    splits: dict[PurePosixPath, tuple[str, int]] = {}
    for row, pair in enumerate(pairs, start=FIRST_ROW):
        if (before := names.setdefault(pair.name, row)) != row:
            raise ValueError(f"row {row}, column 'pair': {pair.name!r} is in row {before} too")
        second = PurePosixPath(pair.second)
        if (before := seconds.setdefault(second, row)) != row:
            reason = f"{pair.second!r} is the second clip of row {before} too"
            raise ValueError(f"row {row}, column 'second': {reason}")
        for column in ("first", "second"):
            file = PurePosixPath(getattr(pair, column))
            split, before = splits.setdefault(file, (pair.split, row))
            if split != pair.split:
                raise ValueError(
                    f"row {row}, column {column!r}: {str(file)!r} is in split {pair.split} here "
                    f"and in {split} in row {before}"
                )


def _in_column(column: str, check: Callable[[str], None], cell: str) -> None:
    try:
        check(cell)
    except ValueError as error:
        raise ValueError(f"column {column!r}: {error}") from None


def _in_row(row: int, check: Callable[[Pair], None], pair: Pair) -> None:
    try:
        check(pair)
    except ValueError as error:
        raise ValueError(f"row {row}, {error}") from None
