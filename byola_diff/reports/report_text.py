"""Reports and tables as plain text that lines up: in Markdown, and for the terminal."""

import textwrap
from collections.abc import Sequence

from byola_diff.reports.report import Audio, Heading, Picture, Section, Table, Text

_NOTE_LETTERS = 100


def render_markdown(title: str, lead: str, sections: Sequence[Section], footer: str = "") -> str:
    """The whole file. Pictures are left out, and sections of nothing but pictures with them.

    Of sounds there are the captions.
    """
    blocks = [f"# {_inline(title)}", _inline(lead)]
    for section in sections:
        parts = [_block(part) for part in section.parts if not isinstance(part, Picture)]
        if parts:
            blocks += [f"## {_inline(section.title)}", *parts]
    if footer:
        blocks.append(_inline(footer))
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
