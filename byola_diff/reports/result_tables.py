"""Tables of a report that hold our own scores: summary, layers, fusion gains, failures."""

from collections.abc import Iterable, Mapping, Sequence

from byola_diff.reports.deviation_marks import MARK, deviation_note
from byola_diff.reports.layer_results import FusionGain, LayerCurve, main_score
from byola_diff.reports.published import MISSING
from byola_diff.reports.report import Table
from byola_diff.scores.intervals import Interval
from byola_diff.scores.read import Record, Score
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

SCORES_NOTE = (
    "Mean over seeds (or folds) ± half of its 95 % Student-t interval; shares in percent, the rest "
    "with three decimals. A figure without ± is a single value. The best of each column is bold, "
    "if all of it was measured on the same form of the task; where intervals overlap, that means "
    f"little. {MISSING}: not measured."
)

_MAX_COLUMNS = 12
_Columns = list[tuple[str, str]]
"""Tasks and metrics."""


def score_text(metric: str, score: Score | Interval) -> str:
    """Mean and interval: percent with one decimal; three decimals for what is no share.

    A score on something else than the published task is marked.
    """
    half = score.ci95 if isinstance(score, Score) else score.half_width
    mark = MARK if isinstance(score, Score) and score.deviations else ""
    scale, digits = (100, 1) if is_share(metric) else (1, 3)
    spread = "" if half is None else f" ± {scale * half:.{digits}f}"
    return f"{scale * score.mean:z.{digits}f}{spread}{mark}"


def column_title(task: str, metric: str) -> str:
    """A task, and below it its metric where that is not accuracy."""
    return task_title(task) + ("" if metric == "accuracy" else f"\n{metric_title(metric)}")


def row_order(record: Record) -> tuple[str, bool, str]:
    """Sorting key of encoders: a fusion follows the encoder that it is made from."""
    return record.base or record.encoder, record.fusion is not None, record.encoder


def summary_tables(
    protocol: str, scored: Sequence[Record], failed: Sequence[Record]
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


def average_text(scores: Iterable[Score | None]) -> str:
    """Mean of the means in percent, of a complete row only; marked if one of them is."""
    every = list(scores)
    known = [score for score in every if score is not None]
    if len(known) < len(every):
        return MISSING
    mark = MARK if any(score.deviations for score in known) else ""
    return f"{100 * sum(score.mean for score in known) / len(known):.1f}{mark}"


def layer_table(protocol: str, curves: Sequence[LayerCurve]) -> Table:
    """The figures behind the curves of one protocol: layers by tasks."""
    columns = sorted({(c.task, c.metric) for c in curves}, key=_column_order)
    layers = sorted(
        {(curve.encoder, point.index, point.name) for curve in curves for point in curve.points}
    )
    cells = {
        (curve.encoder, point.index, point.name, curve.task, curve.metric): point.score
        for curve in curves
        for point in curve.points
    }
    rows = [
        [f"{layer[0]}, layer {layer[2]}"]
        + [
            score_text(column[1], cells[(*layer, *column)])
            if (*layer, *column) in cells
            else MISSING
            for column in columns
        ]
        for layer in layers
    ]
    header = ("layer", *(column_title(*column) for column in columns))
    note = deviation_note(
        (curve.task, curve.encoder, point.score.deviations)
        for curve in curves
        for point in curve.points
    )
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


def failure_table(failed: Sequence[Record]) -> Table:
    """What failed, and why."""
    rows = [
        [
            record.encoder + (f", layer {record.layer['name']}" if record.layer else ""),
            *(record.protocol, task_title(record.task), record.error or "", record.finished),
        ]
        for record in sorted(failed, key=lambda record: (record.protocol, task_order(record.task)))
    ]
    return Table(
        ("encoder", "protocol", "task", "why", "when"), rows, text_columns=frozenset({1, 2, 3})
    )


def _columns(scored: Sequence[Record], failed: Sequence[Record]) -> tuple[_Columns, _Columns]:
    """The first metric of each task, and all others; each in the order of tasks."""
    main = {(record.task, main_score(record)[0]) for record in scored}
    # Tasks on which nothing succeeded must not vanish.
    known = {task for task, _ in main}
    main |= {(record.task, "accuracy") for record in failed if record.task not in known}
    named = [(record.task, metric_name(name)) for record in scored for name in record.scores]
    other = [column for column in dict.fromkeys(named) if column not in main]
    return sorted(main, key=_column_order), sorted(other, key=lambda column: task_order(column[0]))


def _column_order(column: tuple[str, str]) -> tuple[tuple[int, str], str]:
    return task_order(column[0]), column[1]


def _scores_table(
    title: str, scored: Sequence[Record], failed: Sequence[Record], columns: _Columns
) -> Table:
    cells = {
        (record.encoder, (record.task, metric_name(metric))): score
        for record in scored
        for metric, score in record.scores.items()
    }
    lost = {(record.encoder, record.task) for record in failed}
    chosen = sorted([*scored, *failed], key=row_order)
    encoders = list(dict.fromkeys(record.encoder for record in chosen))
    rows = [
        [
            encoder,
            *(_cell(cells.get((encoder, column)), column, encoder, lost) for column in columns),
        ]
        for encoder in encoders
    ]
    header = ["encoder", *(column_title(*column) for column in columns)]
    if len(columns) > 1 and {metric for _, metric in columns} == {"accuracy"}:
        header.append("average")
        for row, encoder in zip(rows, encoders, strict=True):
            row.append(average_text(cells.get((encoder, column)) for column in columns))
    note = deviation_note((r.task, r.encoder, r.deviations) for r in scored)
    return Table(header, rows, _best(cells, encoders, columns), note, title)


def _cell(
    score: Score | None, column: tuple[str, str], encoder: str, lost: set[tuple[str, str]]
) -> str:
    if score is not None:
        return score_text(column[1], score)
    return FAILED if (encoder, column[0]) in lost else MISSING


def _best(
    cells: Mapping[tuple[str, tuple[str, str]], Score],
    encoders: Sequence[str],
    columns: Sequence[tuple[str, str]],
) -> frozenset[tuple[int, int]]:
    best = set()
    for place, column in enumerate(columns, start=1):
        sign = -1 if lower_is_better(column[1]) else 1
        scores = {
            row: cells[encoder, column]
            for row, encoder in enumerate(encoders)
            if (encoder, column) in cells
        }
        forms = {score.deviations for score in scores.values()}
        if len(scores) > 1 and len(forms) == 1:
            top = max(sign * score.mean for score in scores.values())
            best |= {(row, place) for row, score in scores.items() if sign * score.mean == top}
    return frozenset(best)
