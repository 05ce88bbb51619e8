"""The papers' tables as data: `published_tables/*.yaml`, each figure as it was printed."""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from byola_diff.tables.validation import fault

MISSING = "\N{EN DASH}"

_FOLDER = Path(__file__).parent / "published_tables"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(_Model):
    """A printed figure, in percent."""

    printed: str
    """The value with the digits that the paper gives."""
    interval: str | None = None
    """Half of the 95 % interval, likewise."""

    @property
    def percent(self) -> float:
        """The value."""
        return float(self.printed)


def _figure(printed: str) -> Figure | None:
    if printed == MISSING:
        return None
    value, _, interval = printed.partition("±")
    if not (float(value) >= 0 and float(interval or 0) >= 0):
        raise ValueError(f"{printed!r} is no figure")
    return Figure(printed=value, interval=interval or None)


class Column(_Model):
    """What a column is of, in the names of score records."""

    title: str
    task: str
    metric: str


class Row(_Model):
    """What a paper reports of one system."""

    name: str
    figures: Annotated[
        tuple[Figure | None, ...], BeforeValidator(lambda line: tuple(map(_figure, line.split())))
    ] = Field(alias="values")
    """By column; None where the paper has none."""
    average: Annotated[Figure | None, BeforeValidator(_figure)] = None
    """As printed."""
    mark: str = ""
    """What to know about this row."""


class PublishedTable(_Model):
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

    @model_validator(mode="after")
    def _rows_are_full(self) -> "PublishedTable":
        for row in self.rows:
            if len(row.figures) != len(self.columns):
                found = f"has {len(row.figures)} values, not {len(self.columns)}"
                raise ValueError(f"row {row.name!r} {found}")
        return self

    @property
    def full_title(self) -> str:
        """Paper, number and title of the table."""
        return f"{self.paper}, {self.table}: {self.title}"


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
        return PublishedTable.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{path} is not a published table: {fault(error)}") from error
