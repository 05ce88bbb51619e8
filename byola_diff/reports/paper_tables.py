"""The papers' tables, as data in `published_tables/*.yaml`, with our scores beside theirs."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from byola_diff.reports.report import MISSING, Table, text_table
from byola_diff.reports.result_tables import average_text, deviation_note, row_order, score_text
from byola_diff.scores.read import read_records
from byola_diff.scores.record import Interval, ScoreRecord
from byola_diff.scores.task_names import metric_name

PAPER, OURS = "paper", "ours"

_FOLDER = Path(__file__).parent / "published_tables"


def _figure(printed: str) -> str:
    value, _, interval = printed.partition("±")
    if printed == MISSING:
        return MISSING
    if not (float(value) >= 0 and float(interval or 0) >= 0):
        raise ValueError(f"{printed!r} is no figure")
    return f"{value} ± {interval}" if interval else value


Figure = Annotated[str, BeforeValidator(_figure)]
"""In percent as it was printed, with half of the 95 % interval if the paper has it."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Model):
    """What a column is of, in the names of score records."""

    title: str
    task: str
    metric: str


class Row(_Model):
    """What a paper reports of one system."""

    name: str
    figures: Annotated[tuple[Figure, ...], BeforeValidator(str.split)] = Field(alias="values")
    """By column."""
    average: Figure = MISSING
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

    @property
    def full_title(self) -> str:
        """Paper, number and title of the table."""
        return f"{self.paper}, {self.table}: {self.title}"


def read_published() -> list[PublishedTable]:
    """Every table, by file name."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(_FOLDER.glob("*.yaml"))]
    return [PublishedTable.model_validate(yaml.safe_load(text)) for text in texts]


def print_paper_table(protocol: str, out: Path) -> None:
    """Print the papers' tables of a protocol with the scores in `out` below, if there are any.

    Says so if the papers have no column for a task, and if a score gave way to a newer one.
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
    ours: dict[tuple[str, str], dict[Column, tuple[Interval, Sequence[str]]]] = {}
    fitting = []
    for record in sorted(records, key=lambda record: (row_order(record), record.protocol)):
        scores = {metric_name(metric): score for metric, score in record.scores.items()}
        found = {
            column: (scores[column.metric].interval, record.deviations)
            for column in published.columns
            if record.whole and column.task == record.task and column.metric in scores
        }
        if found:
            ours.setdefault((record.encoder.name, record.protocol), {}).update(found)
            fitting.append(record)
    if not fitting:
        return None
    averages = [published.average] if published.average else []
    rows = [
        [row.name, PAPER, *row.figures, *([row.average] if averages else [])]
        for row in published.rows
    ]
    for (encoder, protocol), scored in ours.items():
        other = "" if protocol == published.protocol else f" (not {published.protocol})"
        cells = [(column.metric, scored.get(column)) for column in published.columns]
        texts = [score_text(metric, *cell) if cell else MISSING for metric, cell in cells]
        average = [average_text(cell for _, cell in cells)] if averages else []
        rows.append([encoder, f"{OURS}, {protocol}{other}", *texts, *average])
    return Table(
        ["", "from", *(column.title for column in published.columns), *averages],
        rows,
        note=_note(published, fitting),
        title=published.full_title,
        marked=frozenset(range(len(published.rows), len(rows))),
        text_columns=frozenset({1}),
    )


def _note(published: PublishedTable, ours: Sequence[ScoreRecord]) -> str:
    sentences = (
        f"Source: {published.source}; its figures as printed, in percent.",
        f"Rows from {OURS!r} tell their protocol; that of the paper is {published.protocol}.",
        f"{MISSING}: no figure; an average is of complete rows only.",
        *published.notes,
        *(f"{row.name}: {row.mark}." for row in published.rows if row.mark),
        deviation_note(ours),
    )
    return " ".join(filter(None, sentences))
