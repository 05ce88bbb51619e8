"""The papers' tables as data: `published_tables/*.yaml`, each figure as it was printed."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

MISSING = "\N{EN DASH}"

_FOLDER = Path(__file__).parent / "published_tables"


@dataclass(frozen=True)
class Figure:
    """A printed figure, in percent."""

    printed: str
    """The value with the digits that the paper gives."""
    interval: str | None = None
    """Half of the 95 % interval, likewise."""

    @property
    def percent(self) -> float:
        """The value."""
        return float(self.printed)


@dataclass(frozen=True)
class Column:
    """What a column is of, in the words of score records."""

    title: str
    task: str
    metric: str


@dataclass(frozen=True)
class Row:
    """What a paper reports of one system."""

    name: str
    figures: tuple[Figure | None, ...]
    """By column; None where the paper has none."""
    average: Figure | None = None
    """As printed."""
    mark: str = ""
    """What to know about this row."""


@dataclass(frozen=True)
class PublishedTable:
    """A table of a paper."""

    title: str
    paper: str
    table: str
    """Its number there."""
    source: str
    protocol: str
    """The nearest of our protocols."""
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    average: str | None = None
    """Title of the column of averages, if it has one."""
    notes: tuple[str, ...] = ()


def read_published(folder: Path = _FOLDER) -> list[PublishedTable]:
    """Every table of the folder, by file name.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If a file is not such a table; it names the file and the row.
    """
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise FileNotFoundError(f"no published tables in {folder}: they come with this package")
    return [_read(path) for path in paths]


def _read(path: Path) -> PublishedTable:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        unknown = raw.keys() - {field.name for field in fields(PublishedTable)}
        if unknown:
            raise ValueError(f"unknown keys {sorted(unknown)}")
        columns = tuple(Column(**column) for column in raw["columns"])
        rows = tuple(_row(row, len(columns)) for row in raw["rows"])
        notes = tuple(raw.get("notes", ()))
        return PublishedTable(**{**raw, "columns": columns, "rows": rows, "notes": notes})
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a published table: {error!r}") from error


def _row(raw: Mapping[str, Any], n_columns: int) -> Row:
    figures = tuple(_figure(word) for word in raw["values"].split())
    if len(figures) != n_columns:
        raise ValueError(f"row {raw['name']!r} has {len(figures)} values, not {n_columns}")
    average = _figure(raw["average"]) if "average" in raw else None
    return Row(raw["name"], figures, average, raw.get("mark", ""))


def _figure(word: str) -> Figure | None:
    if word == MISSING:
        return None
    printed, _, interval = word.partition("±")
    if not (float(printed) >= 0 and float(interval or 0) >= 0):
        raise ValueError(f"{word!r} is no figure")
    return Figure(printed, interval or None)
