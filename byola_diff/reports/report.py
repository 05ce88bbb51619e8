"""A report as one HTML file that needs nothing else: pictures, sounds and styles are inside it."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from byola_diff.optional import require

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATES = Path(__file__).parent / "templates"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(data: object) -> object:
    if not isinstance(data, str):
        return data
    try:
        return base64.b64decode(data, validate=True)
    except ValueError as error:
        raise ValueError(f"it is not base64: {error}") from error


def _png(data: bytes) -> bytes:
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        raise ValueError("it is no PNG")
    return data


def _wav(data: bytes) -> bytes:
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError("it is no wav file")
    return data


# How parts are written to JSON, and checked when they are read; see extras.py.
_InText = BeforeValidator(_bytes), PlainSerializer(_base64, when_used="json")
Png = Annotated[bytes, *_InText, AfterValidator(_png)]
Wav = Annotated[bytes, *_InText, AfterValidator(_wav)]


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: Literal["text"] = field(default="text", kw_only=True)


@dataclass(frozen=True)
class Heading:
    """What the parts below it are, up to the next one."""

    text: str
    kind: Literal["heading"] = field(default="heading", kw_only=True)


@dataclass(frozen=True)
class Table:
    """Rows of cells under a header; the first column names the row."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    bold: frozenset[tuple[int, int]] = frozenset()
    """Cells (row, column) to stress."""
    note: str = ""
    title: str = ""
    marked: frozenset[int] = frozenset()
    """Rows to set off from the others."""
    text_columns: frozenset[int] = frozenset()
    """Columns of words, not figures."""
    kind: Literal["table"] = field(default="table", kw_only=True)

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows):
            if len(row) != len(self.header):
                raise ValueError(
                    f"row {number} has {len(row)} cells under {len(self.header)} headers"
                )

    def cell_class(self, row: int, column: int) -> str | None:
        """Names of the styles of a cell."""
        names = ["best"] if (row, column) in self.bold else []
        names += ["text"] if column in self.text_columns else []
        return " ".join(names) or None


@dataclass(frozen=True)
class Picture:
    """A PNG with what it shows."""

    png: Png
    caption: str
    kind: Literal["picture"] = field(default="picture", kw_only=True)


@dataclass(frozen=True)
class Audio:
    """A wav file to listen to, with what it is; those that follow one another are cards in a grid.

    A line break in the caption sets its first line off, as a heading of the card.
    """

    wav: Wav
    caption: str
    spectrogram: Png | None = None
    """To be shown above the player."""
    kind: Literal["audio"] = field(default="audio", kw_only=True)

    @property
    def name(self) -> str:
        """The caption in one line."""
        return ", ".join(self.caption.splitlines())


Part = Text | Heading | Table | Picture | Audio


@dataclass(frozen=True)
class Section:
    """A headed part of the report."""

    title: str
    parts: Sequence[Part]


def render_html(title: str, lead: str, sections: Sequence[Section], footer: str = "") -> str:
    """The whole file. All text is escaped.

    Raises:
        ModuleNotFoundError: If Jinja2 is absent; it names the extra.
    """
    return _page().render(title=title, lead=lead, sections=sections, footer=footer)


def best_cells(columns: Sequence[Sequence[float | None]]) -> frozenset[tuple[int, int]]:
    """Cells (row, column) of the largest value of each column; of each of them, if several.

    The first of `columns` is the second of the table, whose first one names the rows. A value that
    is alone in its column is not the best of it.
    """
    best = set()
    for place, values in enumerate(columns, start=1):
        known = [value for value in values if value is not None]
        if len(known) > 1:
            best |= {(row, place) for row, value in enumerate(values) if value == max(known)}
    return frozenset(best)


@cache
def _page() -> "Template":
    jinja2 = require("jinja2", "evaluate", "a report in HTML")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"base64": _base64, "runs_of_kind": _runs_of_kind}
    return environment.get_template("page.html")


def _runs_of_kind(parts: Sequence[Part]) -> list[tuple[str, list[Part]]]:
    """Parts of one kind that follow one another, with their kind."""
    return [(kind, list(run)) for kind, run in groupby(parts, key=lambda part: part.kind)]
