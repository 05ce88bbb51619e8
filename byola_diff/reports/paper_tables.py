"""The papers' tables with our scores beside theirs."""

import sys
from collections.abc import Sequence
from pathlib import Path

from byola_diff.reports.published import MISSING, Column, Figure, PublishedTable, read_published
from byola_diff.reports.report import Table
from byola_diff.reports.report_text import text_table
from byola_diff.reports.result_tables import average_text, deviation_note, row_order, score_text
from byola_diff.scores.intervals import Interval
from byola_diff.scores.read import read_records
from byola_diff.scores.record import ScoreRecord
from byola_diff.scores.task_names import metric_name

PAPER, OURS = "paper", "ours"

_Fitting = dict[Column, tuple[Interval, Sequence[str]]]
"""By column, our score and its deviations from the published task."""


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
        print(problem, file=sys.stderr)


def paper_table(published: PublishedTable, records: Sequence[ScoreRecord]) -> Table | None:
    """The published rows, then ours, marked as such; None if no record fits a column.

    A record fits by task and metric, whatever its protocol: one that differs from that of the
    paper is named in its row.
    """
    fitting = [record for record in records if _our_scores(published, record)]
    if not fitting:
        return None
    has_average = published.average is not None
    printed = [
        [row.name, PAPER, *map(_printed, row.figures), *[_printed(row.average)] * has_average]
        for row in published.rows
    ]
    rows = [*printed, *_our_rows(published, fitting)]
    return Table(
        ["", "from", *(column.title for column in published.columns)]
        + ([published.average] if published.average else []),
        rows,
        note=_note(published, fitting),
        title=published.full_title,
        marked=frozenset(range(len(printed), len(rows))),
        text_columns=frozenset({1}),
    )


def _our_rows(published: PublishedTable, records: Sequence[ScoreRecord]) -> list[list[str]]:
    scores: dict[tuple[str, str], _Fitting] = {}
    for record in sorted(records, key=lambda record: (row_order(record), record.protocol)):
        row = scores.setdefault((record.encoder.name, record.protocol), {})
        row.update(_our_scores(published, record))
    rows = []
    for (encoder, protocol), row in scores.items():
        other = "" if protocol == published.protocol else f" (not {published.protocol})"
        cells = [
            score_text(column.metric, *row[column]) if column in row else MISSING
            for column in published.columns
        ]
        if published.average:
            cells.append(average_text(row.get(column) for column in published.columns))
        rows.append([encoder, f"{OURS}, {protocol}{other}", *cells])
    return rows


def _our_scores(published: PublishedTable, record: ScoreRecord) -> _Fitting:
    """What of the record fits a column."""
    if not record.whole:
        return {}
    scores = {metric_name(metric): score for metric, score in record.scores.items()}
    return {
        column: (scores[column.metric].interval, record.deviations)
        for column in published.columns
        if column.task == record.task and column.metric in scores
    }


def _printed(figure: Figure | None) -> str:
    if figure is None:
        return MISSING
    return figure.printed + (f" ± {figure.interval}" if figure.interval else "")


def _note(published: PublishedTable, ours: Sequence[ScoreRecord]) -> str:
    deviating = deviation_note((r.task, r.encoder.name, r.deviations) for r in ours)
    marks = [f"{row.name}: {row.mark}." for row in published.rows if row.mark]
    return " ".join(
        [
            f"Source: {published.source}; its figures as printed, in percent.",
            f"Rows from {OURS!r} tell their protocol; that of the paper is {published.protocol}.",
            f"{MISSING}: no figure; an average is of complete rows only.",
            *published.notes,
            *marks,
            *([deviating] if deviating else []),
        ]
    )
