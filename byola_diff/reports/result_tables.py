"""Scores as texts of a table, with their marks and notes; the summary, and what failed."""

from collections.abc import Iterable, Mapping, Sequence

from byola_diff.reports.report import MISSING, Table, best_cells
from byola_diff.scores.record import Interval, Score, ScoreRecord
from byola_diff.scores.task_names import (
    is_share,
    lower_is_better,
    metric_name,
    metric_title,
    protocol_title,
    task_order,
    task_title,
)

FAILED = "failed"
MARK = "\N{DAGGER}"
"""After a score on part of a task, or on a split that is not the published one."""

SCORES_NOTE = (
    "Mean over seeds (or folds) ± half of its 95 % Student-t interval; shares in percent, the rest "
    "with three decimals. A figure without ± is a single value. The best of each column is bold, "
    "if all of it was measured on the same form of the task; where intervals overlap, that means "
    f"little. {MISSING}: not measured."
)

_MAX_COLUMNS = 12
_Column = tuple[str, str]
"""Task and metric."""
_Cells = Mapping[tuple[str, _Column], tuple[Interval, tuple[str, ...]]]
"""By encoder and column, the score and its deviations from the published task."""


def score_text(metric: str, score: Interval | None, deviations: Sequence[str] = ()) -> str:
    """Mean and interval: percent with one decimal; three decimals for what is no share.

    A score on something else than the published task is marked.
    """
    if score is None:
        return MISSING
    scale, digits = (100, 1) if is_share(metric) else (1, 3)
    spread = "" if score.half_width is None else f" ± {scale * score.half_width:.{digits}f}"
    return f"{scale * score.mean:z.{digits}f}{spread}{MARK if deviations else ''}"


def average_text(scores: Iterable[tuple[Interval, Sequence[str]] | None]) -> str:
    """Mean of the means in percent, of a complete row only; marked if one of them is."""
    every = list(scores)
    known = [score for score in every if score is not None]
    if len(known) < len(every):
        return MISSING
    mark = MARK if any(deviations for _, deviations in known) else ""
    return f"{100 * sum(score.mean for score, _ in known) / len(known):.1f}{mark}"


def deviation_note(records: Iterable[ScoreRecord]) -> str:
    """What the mark stands for, by task; empty if no record has deviations.

    Encoders are named where not all were measured on the same clips.
    """
    tasks: dict[str, dict[tuple[str, ...], dict[str, None]]] = {}
    for record in records:
        encoders = tasks.setdefault(record.task, {}).setdefault(record.deviations, {})
        encoders[encoder_name(record)] = None
    reasons = []
    for task in sorted(tasks, key=task_order):
        for deviations, encoders in tasks[task].items():
            who = f" ({', '.join(encoders)})" if len(tasks[task]) > 1 else ""
            if deviations:
                reasons.append(f"{task_title(task)}{who}: {'; '.join(deviations)}.")
    return " ".join([f"{MARK}: not measured as published.", *reasons]) if reasons else ""


def encoder_name(record: ScoreRecord) -> str:
    """Name of the encoder scored; for a single layer, of the encoder that has it."""
    return (record.layer and record.base) or record.encoder.name


def main_score(record: ScoreRecord) -> tuple[str, Score]:
    """The metric that stands first, and its score."""
    metric, score = next(iter(record.scores.items()))
    return metric_name(metric), score


def column_order(column: _Column) -> tuple[tuple[int, str], str]:
    """Sorting key of columns: the papers' order of tasks, then the metric."""
    return task_order(column[0]), column[1]


def column_title(task: str, metric: str) -> str:
    """A task, and below it its metric where that is not accuracy."""
    return task_title(task) + ("" if metric == "accuracy" else f"\n{metric_title(metric)}")


def row_order(record: ScoreRecord) -> tuple[str, bool, str]:
    """Sorting key of encoders: a fusion follows the encoder that it is made from."""
    name = record.encoder.name
    return record.base or name, record.fusion is not None, name


def summary_tables(
    protocol: str, scored: Sequence[ScoreRecord], failed: Sequence[ScoreRecord]
) -> list[Table]:
    """Encoders by tasks, of one protocol; records of single layers are not in it.

    Failures are shown where nothing was scored. If the table were too wide, a second one has all
    but the first metric of each task.
    """
    scored = sorted((record for record in scored if record.whole), key=row_order)
    failed = sorted((record for record in failed if record.whole), key=row_order)
    main = {(record.task, main_score(record)[0]) for record in scored}
    # Tasks on which nothing succeeded must not vanish.
    known = {task for task, _ in main}
    main |= {(record.task, "accuracy") for record in failed if record.task not in known}
    if not main:
        return []
    title = protocol_title(protocol)
    named = dict.fromkeys((r.task, metric_name(name)) for r in scored for name in r.scores)
    first = sorted(main, key=column_order)
    others = [column for column in named if column not in main]
    others.sort(key=lambda column: task_order(column[0]))
    if len(first) + len(others) <= _MAX_COLUMNS:
        every = sorted([*first, *others], key=lambda column: task_order(column[0]))
        return [_scores_table(title, scored, failed, every)]
    tables = [_scores_table(title, scored, failed, first)]
    if others:
        tables.append(_scores_table(f"{title}, other metrics", scored, [], others))
    return tables


def _scores_table(
    title: str,
    scored: Sequence[ScoreRecord],
    failed: Sequence[ScoreRecord],
    columns: Sequence[_Column],
) -> Table:
    cells = {
        (record.encoder.name, (record.task, metric_name(metric))): (
            score.interval,
            record.deviations,
        )
        for record in scored
        for metric, score in record.scores.items()
    }
    lost = {(record.encoder.name, record.task) for record in failed}
    chosen = sorted([*scored, *failed], key=row_order)
    encoders = list(dict.fromkeys(record.encoder.name for record in chosen))
    header = ["encoder", *(column_title(*column) for column in columns)]
    averaged = len(columns) > 1 and {metric for _, metric in columns} == {"accuracy"}
    rows = []
    for encoder in encoders:
        row = [encoder]
        for task, metric in columns:
            cell = cells.get((encoder, (task, metric)))
            empty = FAILED if (encoder, task) in lost else MISSING
            row.append(score_text(metric, *cell) if cell else empty)
        if averaged:
            row.append(average_text(cells.get((encoder, column)) for column in columns))
        rows.append(row)
    header += ["average"] if averaged else []
    best = best_cells([_comparable(cells, encoders, column) for column in columns])
    return Table(header, rows, best, deviation_note(scored), title)


def _comparable(cells: _Cells, encoders: Sequence[str], column: _Column) -> list[float | None]:
    """Scores of a column, the larger the better; none if not all are of one form of the task."""
    found = [cells.get((encoder, column)) for encoder in encoders]
    sign = -1 if lower_is_better(column[1]) else 1
    same_form = len({deviations for _, deviations in filter(None, found)}) == 1
    return [sign * cell[0].mean if cell and same_form else None for cell in found]


def failure_table(failed: Sequence[ScoreRecord]) -> Table:
    """What failed, and why."""
    rows = []
    for record in sorted(failed, key=lambda record: (record.protocol, task_order(record.task))):
        name = record.encoder.name + (f", layer {record.layer.name}" if record.layer else "")
        why = record.error or "no reason recorded"
        rows.append([name, record.protocol, task_title(record.task), why, record.finished])
    return Table(
        ("encoder", "protocol", "task", "why", "when"), rows, text_columns=frozenset({1, 2, 3})
    )
