"""The papers' tables with our scores beside theirs."""

from collections.abc import Mapping, Sequence

from byola_diff.reports.deviation_marks import deviation_note
from byola_diff.reports.published import MISSING, Column, Figure, PublishedTable
from byola_diff.reports.report import Table
from byola_diff.reports.result_tables import average_text, row_order, score_text
from byola_diff.scores.read import Record, Score
from byola_diff.scores.task_names import metric_name

PAPER, OURS = "paper", "ours"


def published_title(published: PublishedTable) -> str:
    """Paper, number and title of the table."""
    return f"{published.paper}, {published.table}: {published.title}"


def paper_table(published: PublishedTable, records: Sequence[Record]) -> Table | None:
    """The published rows, then ours, marked as such; None if no record fits a column.

    A record fits by task and metric, whatever its protocol: one that differs from that of the
    paper is named in its row.
    """
    fitting = [record for record in records if _our_scores(published, record)]
    ours = _our_rows(published, fitting)
    if not ours:
        return None
    printed = [
        [row.name, PAPER, *(_printed(figure) for figure in row.figures)]
        + ([_printed(row.average)] if published.average else [])
        for row in published.rows
    ]
    header = ["", "from", *(column.title for column in published.columns)]
    header += [published.average] if published.average else []
    n_printed = len(printed)
    return Table(
        header,
        [*printed, *ours],
        note=_note(published, fitting),
        title=published_title(published),
        marked=frozenset(range(n_printed, n_printed + len(ours))),
        text_columns=frozenset({1}),
    )


def _our_rows(published: PublishedTable, records: Sequence[Record]) -> list[list[str]]:
    rows: dict[tuple[str, str], dict[Column, Score]] = {}
    for record in sorted(records, key=lambda record: (row_order(record), record.protocol)):
        row = rows.setdefault((record.encoder, record.protocol), {})
        row.update(_our_scores(published, record))
    return [
        [encoder, _origin(protocol, published), *_cells(row, published)]
        for (encoder, protocol), row in rows.items()
    ]


def _our_scores(published: PublishedTable, record: Record) -> dict[Column, Score]:
    """What of the record fits a column."""
    if not record.whole:
        return {}
    scores = {metric_name(metric): score for metric, score in record.scores.items()}
    return {
        column: scores[column.metric]
        for column in published.columns
        if column.task == record.task and column.metric in scores
    }


def _cells(row: Mapping[Column, Score], published: PublishedTable) -> list[str]:
    cells = [
        score_text(column.metric, row[column]) if column in row else MISSING
        for column in published.columns
    ]
    average = average_text(row.get(column) for column in published.columns)
    return cells + ([average] if published.average else [])


def _origin(protocol: str, published: PublishedTable) -> str:
    if protocol == published.protocol:
        return f"{OURS}, {protocol}"
    return f"{OURS}, {protocol} (not {published.protocol})"


def _printed(figure: Figure | None) -> str:
    if figure is None:
        return MISSING
    return figure.printed + (f" ± {figure.interval}" if figure.interval else "")


def _note(published: PublishedTable, ours: Sequence[Record]) -> str:
    deviating = deviation_note((r.task, r.encoder, r.deviations) for r in ours)
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
