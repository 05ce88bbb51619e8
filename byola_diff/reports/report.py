"""A report as one HTML file that needs nothing else: pictures, sounds and styles are inside it."""

import base64
import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

_MAX_COLUMNS = 7
"""Of a table in the width of the text; more get small print and the width of the window."""

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
       max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: .3rem; }
h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #bbb; padding-bottom: .2rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
table { border-collapse: collapse; margin: .8rem 0; }
th, td { padding: .35rem .9rem; text-align: right; border-bottom: 1px solid #ddd;
         font-variant-numeric: tabular-nums; vertical-align: top; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
thead th { border-bottom: 2px solid #555; font-weight: 600; white-space: pre;
           vertical-align: bottom; }
td.best { font-weight: 700; }
/* A wide table scrolls by itself; its first column stays in sight. */
.scroll { overflow-x: auto; margin: .8rem 0; }
.scroll table { margin: 0; }
.wide { width: max-content; max-width: calc(100vw - 2rem); position: relative; left: 50%;
        transform: translateX(-50%); font-size: .82rem; }
.wide th, .wide td { padding: .3rem .4rem; }
th:first-child, td:first-child { position: sticky; left: 0; background: #fff; }
td:first-child, td.text { white-space: normal; overflow-wrap: anywhere; min-width: 6rem; }
.wide td:first-child { min-width: 9rem; max-width: 15rem; }
.text { text-align: left; }
tr.marked td, tr.marked td:first-child { background: #ececec; }
tr.marked td:first-child { box-shadow: inset 4px 0 #333; padding-left: .6rem; }
img { max-width: 100%; height: auto; }
figure { margin: 1rem 0; }
/* Sounds: as many cards side by side as fit; of four, two by two rather than three and one. */
.sounds { --least: 16rem; display: grid; gap: 1rem; margin: 1rem 0 1.4rem;
          grid-template-columns: repeat(auto-fill, minmax(min(var(--least), 100%), 1fr)); }
.sounds:has(> :nth-child(4):last-child) { --least: max(16rem, 34%); }
.sounds figure { margin: 0; padding: .5rem; border: 1px solid #ccc; border-radius: .5rem; }
.sounds img, .sounds audio { display: block; width: 100%; }
.sounds audio { height: 2.5rem; margin: .3rem 0 .5rem; }
.sounds figcaption { padding: 0 .3rem; line-height: 1.4; overflow-wrap: anywhere; }
.sounds b { color: #1a1a1a; font-weight: 600; }
p.note, figcaption { color: #444; font-size: .92rem; max-width: 50rem; }
footer { margin-top: 2.5rem; color: #555; font-size: .85rem; }
"""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Heading:
    """What the parts below it are, up to the next one."""

    text: str


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


@dataclass(frozen=True)
class Picture:
    """A PNG with what it shows."""

    png: bytes
    caption: str


@dataclass(frozen=True)
class Audio:
    """A wav file to listen to, with what it is; those that follow one another are cards in a grid.

    A line break in the caption sets its first line off, as a heading of the card.
    """

    wav: bytes
    caption: str
    spectrogram: bytes | None = None
    """A PNG to be shown above the player."""

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
    """The whole file. All text is escaped."""
    body = [f"<h1>{html.escape(title)}</h1>", f"<p>{html.escape(lead)}</p>"]
    for section in sections:
        body.append(f"<h2>{html.escape(section.title)}</h2>")
        body += _render_parts(section.parts)
    if footer:
        body.append(f"<footer>{html.escape(footer)}</footer>")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>",
            *body,
            "</body></html>\n",
        ]
    )


def best_cells(columns: Sequence[Sequence[float]], first_column: int = 1) -> frozenset:
    """Cells (row, column) of the largest value of each column; of each of them, if several."""
    return frozenset(
        (row, place)
        for place, values in enumerate(columns, start=first_column)
        for row, value in enumerate(values)
        if value == max(values)
    )


def _render_parts(parts: Sequence[Part]) -> Iterator[str]:
    for are_sounds, group in groupby(parts, lambda part: isinstance(part, Audio)):
        rendered = [_render(part) for part in group]
        yield from ['<div class="sounds">', *rendered, "</div>"] if are_sounds else rendered


def _render(part: Part) -> str:
    if isinstance(part, Text):
        return f"<p>{html.escape(part.text)}</p>"
    if isinstance(part, Heading):
        return f"<h3>{html.escape(part.text)}</h3>"
    if isinstance(part, Table):
        return _render_table(part)
    if isinstance(part, Audio):
        return _render_sound(part)
    caption = html.escape(part.caption)
    return f"<figure>{_image(part.png, caption)}<figcaption>{caption}</figcaption></figure>"


def _render_sound(sound: Audio) -> str:
    name, lines = html.escape(sound.name), html.escape(sound.caption).splitlines()
    caption = "<br>".join([f"<b>{lines[0]}</b>", *lines[1:]]) if len(lines) > 1 else name
    image = _image(sound.spectrogram, f"Spectrogram: {name}") if sound.spectrogram else ""
    data = base64.b64encode(sound.wav).decode()
    return (
        f'<figure>{image}<audio controls preload="metadata" aria-label="{name}" '
        f'src="data:audio/wav;base64,{data}"></audio><figcaption>{caption}</figcaption></figure>'
    )


def _image(png: bytes, alt: str) -> str:
    return f'<img alt="{alt}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def _render_table(table: Table) -> str:
    head = "".join(
        f'<th scope="col"{" class=text" if place in table.text_columns else ""}>'
        f"{html.escape(cell)}</th>"
        for place, cell in enumerate(table.header)
    )
    rows = []
    for number, row in enumerate(table.rows):
        if len(row) != len(table.header):
            raise ValueError(f"row {number} has {len(row)} cells under {len(table.header)} headers")
        cells = "".join(
            f"<td{_classes(table, number, place)}>{html.escape(cell)}</td>"
            for place, cell in enumerate(row)
        )
        rows.append(f"<tr{' class=marked' if number in table.marked else ''}>{cells}</tr>")
    note = f'<p class="note">{html.escape(table.note)}</p>' if table.note else ""
    title = f"<h3>{html.escape(table.title)}</h3>" if table.title else ""
    wide = " wide" if len(table.header) > _MAX_COLUMNS else ""
    return (
        f'{title}<div class="scroll{wide}"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{note}"
    )


def _classes(table: Table, row: int, column: int) -> str:
    names = ["best"] if (row, column) in table.bold else []
    names += ["text"] if column in table.text_columns else []
    return (
        f' class="{" ".join(names)}"' if len(names) > 1 else "".join(f" class={n}" for n in names)
    )
