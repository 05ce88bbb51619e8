"""Tables as plain text, in columns that line up, for the terminal."""

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from byola_diff.reports.paper_tables import paper_table
from byola_diff.reports.published import read_published
from byola_diff.reports.report import Table
from byola_diff.scores.read import read_records

_NOTE_LETTERS = 100


def print_paper_table(protocol: str, out: Path) -> None:
    """Print the papers' tables of a protocol with the scores in `out` below.

    Says so if the papers have no column for a task, and if a score gave way to a newer one.

    Args:
        protocol: Such as "bgknown" or "retrieval".
        out: Folder of score records.
    """
    if not out.exists():
        return
    records = read_records(out)
    scored = [record for record in records.scored if record.protocol == protocol]
    published = [table for table in read_published() if table.protocol == protocol]
    for table in published:
        drawn = paper_table(table, scored)
        if drawn is not None:
            print(f"\nAll scores in {out}, also of earlier runs:\n{text_table(drawn)}")
    for task in sorted({record.task for record in scored}):
        if not any(column.task == task for table in published for column in table.columns):
            print(f"\nNo published figures of {task} to set beside.")
    for problem in records.problems:
        print(f"evaluate.py: {problem}", file=sys.stderr)


def text_table(table: Table) -> str:
    """Title, cells, and the note wrapped to the width of a page."""
    cells = [[" ".join(cell.split()) for cell in row] for row in (table.header, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    left = {0, *table.text_columns}
    lines = [_line(row, widths, left) for row in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    note = [textwrap.fill(table.note, _NOTE_LETTERS)] if table.note else []
    return "\n".join([*([table.title] if table.title else []), *lines, *note])


def _line(cells: Sequence[str], widths: Sequence[int], left: set[int]) -> str:
    padded = (
        cell.ljust(width) if place in left else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(padded).rstrip()
