"""The tables and words of a report as Markdown, aligned so that they read well as plain text."""

from collections.abc import Sequence

from byola_diff.reports.report import (
    Audio,
    Heading,
    Picture,
    Section,
    Table,
    Text,
)


def render_markdown(title: str, lead: str, sections: Sequence[Section], footer: str = "") -> str:
    """The whole file. Pictures are left out, and sections of nothing but pictures with them.

    Of sounds it tells the captions.
    """
    blocks = [f"# {_inline(title)}", _inline(lead)]
    for section in sections:
        parts = [_render(part) for part in section.parts if not isinstance(part, Picture)]
        if parts:
            blocks += [f"## {_inline(section.title)}", *parts]
    if footer:
        blocks.append(_inline(footer))
    return "\n\n".join(blocks) + "\n"


def _render(part: Text | Heading | Table | Audio) -> str:
    if isinstance(part, Text):
        return _inline(part.text)
    if isinstance(part, Heading):
        return f"### {_inline(part.text)}"
    if isinstance(part, Audio):
        return f"To hear in the HTML report: {_inline(part.name)}"
    rows = [[_inline(cell) for cell in row] for row in (part.header, *part.rows)]
    for row, column in part.bold:
        rows[row + 1][column] = f"**{rows[row + 1][column]}**"
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    left = {0, *part.text_columns}
    rule = [
        "-" * width if place in left else "-" * (width - 1) + ":"
        for place, width in enumerate(widths)
    ]
    lines = [_line(row, widths, left) for row in (rows[0], rule, *rows[1:])]
    title = f"### {_inline(part.title)}\n\n" if part.title else ""
    return title + "\n".join(lines) + (f"\n\n{_inline(part.note)}" if part.note else "")


def _line(cells: Sequence[str], widths: Sequence[int], left: set[int]) -> str:
    padded = (
        cell.ljust(width) if place in left else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return f"| {' | '.join(padded)} |"


def _inline(text: str) -> str:
    """One line that no character of it breaks out of, neither of the cell nor into HTML."""
    line = " ".join(text.split())
    for character in "\\|*`<":
        line = line.replace(character, f"\\{character}")
    return line.replace("](", "]\\(")
