"""Tables of a report that hold our own scores: summary, layers, fusion gains, failures."""

from collections.abc import Iterable, Mapping, Sequence

from byola_diff.reports.layer_results import FusionGain, LayerCurve, main_score
from byola_diff.reports.published import MISSING
from byola_diff.reports.report import Table, best_cells
from byola_diff.scores.intervals import Interval
from byola_diff.scores.record import ScoreRecord
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


def score_text(metric: str, score: Interval, deviations: Sequence[str] = ()) -> str:
    """Mean and interval: percent with one decimal; three decimals for what is no share.

    A score on something else than the published task is marked.
    """
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


def deviation_note(measured: Iterable[tuple[str, str, Sequence[str]]]) -> str:
    """What the mark stands for, by task; empty if nothing is marked.

    Args:
        measured: Task, encoder and deviations of each score in the table. Encoders are named where
            not all were measured on the same clips.
    """
    tasks: dict[str, dict[tuple[str, ...], dict[str, None]]] = {}
    for task, encoder, deviations in measured:
        tasks.setdefault(task, {}).setdefault(tuple(deviations), {})[encoder] = None
    reasons = []
    for task in sorted(tasks, key=task_order):
        for deviations, encoders in tasks[task].items():
            who = f" ({', '.join(encoders)})" if len(tasks[task]) > 1 else ""
            if deviations:
                reasons.append(f"{task_title(task)}{who}: {'; '.join(deviations)}.")
    return " ".join([f"{MARK}: not the task as published.", *reasons]) if reasons else ""


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

    Args:
        protocol: Whose records these are.
        scored: Records with scores.
        failed: Records of failures, shown where nothing was scored.

    Returns:
        One table; a second one with all but the first metric of each task if one were too wide.
    """
    scored = sorted((record for record in scored if record.whole), key=row_order)
    failed = sorted((record for record in failed if record.whole), key=row_order)
    main, other = _columns(scored, failed)
    title = protocol_title(protocol)
    if not main:
        return []
    if len(main) + len(other) <= _MAX_COLUMNS:
        every = sorted([*main, *other], key=lambda column: task_order(column[0]))
        return [_scores_table(title, scored, failed, every)]
    tables = [_scores_table(title, scored, failed, main)]
    return tables + ([_scores_table(f"{title}, other metrics", scored, [], other)] if other else [])


def layer_table(protocol: str, curves: Sequence[LayerCurve]) -> Table:
    """The figures behind the curves of one protocol: layers by tasks."""
    columns = sorted({(c.task, c.metric) for c in curves}, key=_column_order)
    points = [(curve, point) for curve in curves for point in curve.points]
    cells = {
        (curve.encoder, point.index, point.name, curve.task, curve.metric): score_text(
            curve.metric, point.score.interval, point.deviations
        )
        for curve, point in points
    }
    layers = sorted({(curve.encoder, point.index, point.name) for curve, point in points})
    rows = [
        [
            f"{layer[0]}, layer {layer[2]}",
            *(cells.get((*layer, *column), MISSING) for column in columns),
        ]
        for layer in layers
    ]
    header = ("layer", *(column_title(*column) for column in columns))
    note = deviation_note((curve.task, curve.encoder, point.deviations) for curve, point in points)
    return Table(header, rows, note=note, title=f"The same in figures, protocol {protocol}")


def gain_table(gains: Sequence[FusionGain]) -> Table:
    """Gains of fusions in points."""
    rows = [
        [
            *(gain.fusion, column_title(gain.task, gain.metric)),
            score_text(gain.metric, gain.over_layer) if gain.over_layer else MISSING,
            gain.best_layer or MISSING,
            score_text(gain.metric, gain.over_scene) if gain.over_scene else MISSING,
        ]
        for gain in gains
    ]
    return Table(
        ("fusion", "task", "over the best layer", "which", "over the scene embedding"),
        rows,
        note="In points, paired by seed, ± half of the 95 % interval. The best layer is the best "
        "of those measured, picked on the test clips: its gain is rather more than shown.",
        text_columns=frozenset({1}),
    )


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


def _columns(
    scored: Sequence[ScoreRecord], failed: Sequence[ScoreRecord]
) -> tuple[list[_Column], list[_Column]]:
    """The first metric of each task, and all others; each in the order of tasks."""
    main = {(record.task, main_score(record)[0]) for record in scored}
    # Tasks on which nothing succeeded must not vanish.
    known = {task for task, _ in main}
    main |= {(record.task, "accuracy") for record in failed if record.task not in known}
    named = [(record.task, metric_name(name)) for record in scored for name in record.scores]
    other = [column for column in dict.fromkeys(named) if column not in main]
    return sorted(main, key=_column_order), sorted(other, key=lambda column: task_order(column[0]))


def _column_order(column: _Column) -> tuple[tuple[int, str], str]:
    return task_order(column[0]), column[1]


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
    note = deviation_note((r.task, r.encoder.name, r.deviations) for r in scored)
    best = best_cells([_comparable(cells, encoders, column) for column in columns])
    return Table(header, rows, best, note, title)


def _comparable(cells: _Cells, encoders: Sequence[str], column: _Column) -> list[float | None]:
    """Scores of a column, the larger the better; none if not all are of one form of the task."""
    found = [cells.get((encoder, column)) for encoder in encoders]
    sign = -1 if lower_is_better(column[1]) else 1
    same_form = len({deviations for _, deviations in filter(None, found)}) == 1
    return [sign * cell[0].mean if cell and same_form else None for cell in found]
