"""A report, its parts, and how it is written: as HTML, as Markdown, and tables for the terminal.

The HTML file needs nothing else: pictures, sounds and styles are inside it.
"""

import base64
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from byola_diff.optional import require

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATES = Path(__file__).parent / "templates"
_NOTE_LETTERS = 100

MISSING = "\N{EN DASH}"
"""In a cell: there is no figure."""


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(data: object) -> object:
    if not isinstance(data, str):
        return data
    try:
        return base64.b64decode(data, validate=True)
    except ValueError as error:
        raise ValueError(f"it is not base64: {error}") from error


def _file(kind: str, start: bytes) -> tuple[object, ...]:
    """How such a file is written to JSON, and checked when it is read; see extras.py."""

    def check(data: bytes) -> bytes:
        if not re.match(start, data, re.DOTALL):
            raise ValueError(f"it is no {kind}")
        return data

    in_text = BeforeValidator(_bytes), PlainSerializer(_base64, when_used="json")
    return *in_text, AfterValidator(check)


Png = Annotated[bytes, *_file("PNG", rb"\x89PNG\r\n\x1a\n")]
Wav = Annotated[bytes, *_file("wav file", rb"RIFF....WAVE")]


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
    """The whole file, all text escaped.

    Raises:
        ModuleNotFoundError: If Jinja2 is absent; it names the extra.
    """
    return _page().render(title=title, lead=lead, sections=sections, footer=footer)


def render_markdown(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The same in Markdown, tables lined up: without pictures, and of sounds the captions alone."""
    blocks = [f"# {_inline(title)}", _inline(lead)]
    for section in sections:
        parts = [_block(part) for part in section.parts if not isinstance(part, Picture)]
        if parts:
            blocks += [f"## {_inline(section.title)}", *parts]
    return "\n\n".join(blocks) + "\n"


def text_table(table: Table) -> str:
    """Title, cells, and the note wrapped to the width of a page."""
    rows = [[" ".join(cell.split()) for cell in row] for row in (table.header, *table.rows)]
    lines = _aligned(rows, {0, *table.text_columns})
    lines.insert(1, ["-" * len(cell) for cell in lines[0]])
    text = ["  ".join(line).rstrip() for line in lines]
    note = [textwrap.fill(table.note, _NOTE_LETTERS)] if table.note else []
    return "\n".join([*([table.title] if table.title else []), *text, *note])


def _block(part: Text | Heading | Table | Audio) -> str:
    if isinstance(part, Table):
        return _markdown_table(part)
    if isinstance(part, Audio):
        return f"To hear in the HTML report: {_inline(part.name)}"
    return ("### " if isinstance(part, Heading) else "") + _inline(part.text)


def _markdown_table(table: Table) -> str:
    rows = [[_inline(cell) for cell in row] for row in (table.header, *table.rows)]
    for row, column in table.bold:
        rows[row + 1][column] = f"**{rows[row + 1][column]}**"
    left = {0, *table.text_columns}
    lines = _aligned(rows, left, least=3)
    dashes = ["-" * len(cell) for cell in lines[0]]
    lines.insert(1, [d if place in left else d[:-1] + ":" for place, d in enumerate(dashes)])
    title = f"### {_inline(table.title)}\n\n" if table.title else ""
    note = f"\n\n{_inline(table.note)}" if table.note else ""
    return title + "\n".join(f"| {' | '.join(line)} |" for line in lines) + note


def _aligned(rows: Sequence[Sequence[str]], left: set[int], least: int = 0) -> list[list[str]]:
    """Cells padded to the width of their column; those of columns in `left` begin with it."""
    widths = [max(least, *map(len, column)) for column in zip(*rows, strict=True)]
    return [
        [
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    ]


def _inline(text: str) -> str:
    """One line that no character of it breaks out of, neither of the cell nor into HTML."""
    line = " ".join(text.split())
    for character in "\\|*`<":
        line = line.replace(character, f"\\{character}")
    return line.replace("](", "]\\(")


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
    environment.filters["base64"] = _base64
    return environment.get_template("page.html")
