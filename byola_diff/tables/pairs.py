"""The pair table: one CSV file of pairs of clips that differ, each with a text of the difference.

    pair,scene,split,first,second,first_labels,second_labels,text
    rain_00000,rain,train,wav/dev/rain_00000_s1.wav,wav/dev/rain_00000_s2.wav,dog;birds,birds,...

`first` and `second` are relative to the table. Labels are the sound events of each clip, with `;`
between; one of the two clips may have none. `split` is train, valid or test. Clips are whole files:
columns of times are refused, others allowed and not read. Everything is checked before any work
starts; rows are counted as in a spreadsheet: the header is 1.
"""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator

from byola_diff.tables.manifest import ManifestError
from byola_diff.tables.rows import (
    FIRST_ROW,
    ClipFiles,
    Labels,
    NotEmpty,
    Split,
    checked_row,
    located,
    read_rows,
    split_labels,
    visible,
    write_rows,
)

_TIME = re.compile("(.*_)?(start|end|onset|offset|duration)_m?s", re.I)


def _without_semicolon(labels: tuple[str, ...]) -> tuple[str, ...]:
    if any(";" in label for label in labels):
        raise ValueError(f"a label in {labels} has a ';'")
    return labels


_EventLabels = Annotated[Labels, AfterValidator(_without_semicolon)]


@dataclass(frozen=True)
class Pair:
    """One row: the text says how to get from the first clip to the second."""

    name: Annotated[NotEmpty, AfterValidator(visible)]
    """No other pair of the table has it."""
    scene: Annotated[NotEmpty, AfterValidator(visible)]
    """What the backgrounds are, such as rain: pairs of a scene are searched among each other."""
    split: Split
    first: str
    """Relative to the root of the table."""
    second: str
    first_labels: _EventLabels
    second_labels: _EventLabels
    text: NotEmpty


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
"""Names in the header: the fields of `Pair`, whose name is in the column `pair`."""


def read_pairs(path: Path | str, root: Path | str | None = None) -> PairTable:
    """The pair table at `path`, checked.

    Clips are relative to `root`, or else to the folder of the table. None may lie outside, not even
    through a link.

    Raises:
        PairError: If a column or file is missing, a path leaves the root, a split is unknown, a
            name, scene or text is empty, neither clip has a label, a label is empty or occurs twice
            in a clip, a pair's name or second clip occurs twice, a clip is in two splits (known by
            its file, links followed), there is a column of times, or a name or label has an
            invisible character. The message names row and column.
    """
    path = Path(path)
    root = path.parent if root is None else Path(root)
    files, pairs = ClipFiles(root), []
    with located(f"{path}: ", PairError):
        rows = read_rows(path, "pair table", [(name,) for name in COLUMNS])
        if times := list(filter(_TIME.fullmatch, rows[0])):
            raise ValueError(f"row 1: column {times[0]!r}: clips are whole files: cut them")
        for number, row in enumerate(rows, start=FIRST_ROW):
            labels = {name: split_labels(row[name]) for name in ("first_labels", "second_labels")}
            with located(f"row {number}, "):
                pair = _checked({**row, "name": row["pair"], **labels})
                for column in ("first", "second"):
                    with located(f"column {column!r}: "):
                        pair = replace(pair, **{column: files.check(getattr(pair, column))})
                pairs.append(pair)
        _check_together(pairs, files.identity)
    return _table(root, pairs)


def write_pairs(
    path: Path | str, pairs: Sequence[Pair], extra: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Write `pairs`, whose clips are relative to the table; the files need not exist yet.

    More columns, by name, have a cell for every pair.

    Raises:
        ValueError: If there is no pair, a pair is one that `read_pairs` would refuse, or a column
            has another length.
    """
    extra = extra or {}
    with located(f"{path}: "):
        if not pairs:
            raise ValueError("a table has pairs")
        for number, pair in enumerate(pairs, start=FIRST_ROW):
            with located(f"row {number}, "):
                _checked(vars(pair))
        _check_together(pairs, PurePosixPath)
    rows = []
    for pair, *cells in zip(pairs, *extra.values(), strict=True):
        values = vars(pair).values()
        rows.append([*(v if isinstance(v, str) else ";".join(v) for v in values), *cells])
    write_rows(path, [*COLUMNS, *extra], rows)


def _table(root: Path, pairs: Sequence[Pair]) -> PairTable:
    classes = {label for pair in pairs for label in (*pair.first_labels, *pair.second_labels)}
    return PairTable(root, tuple(pairs), tuple(sorted(classes)))


def _checked(values: Mapping[str, Any]) -> Pair:
    """The pair of these values; raises `ValueError`, which names the column, if there is none."""
    pair = checked_row(Pair, values, {"name": "pair"})
    if not pair.first_labels and not pair.second_labels:
        raise ValueError("column 'first_labels': empty, and so is 'second_labels'")
    return pair


def _check_together(pairs: Sequence[Pair], known_by: Callable[[str], Hashable]) -> None:
    """Raise `ValueError`, which names row and column, if pairs do not go together.

    Files are the same if what they are known by is.
    """
    names: dict[str, int] = {}
    seconds: dict[Hashable, int] = {}
    splits: dict[Hashable, tuple[str, int]] = {}
    for row, pair in enumerate(pairs, start=FIRST_ROW):
        if (before := names.setdefault(pair.name, row)) != row:
            raise ValueError(f"row {row}, column 'pair': {pair.name!r} is in row {before} too")
        second = known_by(pair.second)
        if known_by(pair.first) == second:
            reason = f"{pair.second!r} is the first clip too"
            raise ValueError(f"row {row}, column 'second': {reason}")
        if (before := seconds.setdefault(second, row)) != row:
            reason = f"{pair.second!r} is the second clip of row {before} too"
            raise ValueError(f"row {row}, column 'second': {reason}")
        for column in ("first", "second"):
            file = getattr(pair, column)
            split, before = splits.setdefault(known_by(file), (pair.split, row))
            if split != pair.split:
                raise ValueError(
                    f"row {row}, column {column!r}: {file!r} is in split {pair.split} here "
                    f"and in {split} in row {before}"
                )
