"""Curves in a report: a figure and a table for each metric, and how to read them."""

from collections.abc import Iterable, Sequence

from byola_diff.reports.figures import LinePanel, few_encoders, line_figure
from byola_diff.reports.report import Part, Picture, Table, Text
from byola_diff.reports.result_tables import deviation_note, row_order, score_text
from byola_diff.scores.record import Curve, Interval, ScoreRecord
from byola_diff.scores.task_names import is_share, metric_title, task_order, task_title

ADDITIVITY_NOTE = (
    "How to read additivity. The cosine compares how the same event moves the embedding over two "
    "backgrounds; cosine and recall subtract the mean movement of all events first, the raw cosine "
    "does not. These figures ask for one thing only: that differences do not depend on the "
    "background. An encoder that is nearly linear in the signal can score high even if it was "
    "never trained, and an exactly linear one scores 1 while it tells no classes apart: whether "
    "sounds are told apart by class is what the probes say. Read both together. The louder of "
    "event and background has the same level at all ratios. Recall compares at an equal number of "
    "events only; cosines of fewer than 100 events scatter widely."
)
POLYPHONY_NOTE = (
    "Polyphony: a linear probe for the labels in a mixture of k sources of equal loudness. Its "
    "score is the share of the k labels that are among the k best scored ones, so chance rises "
    "with k; compare encoders at one k, and each with chance."
)


def curve_parts(scored: Iterable[ScoreRecord], pictures: bool) -> list[Part]:
    """Notes, figures (if wanted) and tables of the curves of whole encoders, if there are any."""
    chosen = sorted((r for r in scored if r.curves and r.whole), key=row_order)
    parts: list[Part] = []
    if any(record.protocol == "additivity" for record in chosen):
        parts.append(Text(ADDITIVITY_NOTE))
    metrics = dict.fromkeys((r.protocol, metric) for r in chosen for metric in r.curves)
    for protocol, metric in sorted(metrics, key=lambda pair: pair[0]):
        ours = [r for r in chosen if r.protocol == protocol and metric in r.curves]
        if metric == "polyphony":
            parts.append(Text(POLYPHONY_NOTE))
        if pictures:
            for few in few_encoders([record.encoder.name for record in ours]):
                parts.append(_picture(metric, [r for r in ours if r.encoder.name in few]))
        for task in sorted({record.task for record in ours}, key=task_order):
            parts.append(_table(metric, [record for record in ours if record.task == task]))
    return parts


def _picture(metric: str, records: Sequence[ScoreRecord]) -> Picture:
    panels = []
    for task in sorted({record.task for record in records}, key=task_order):
        curves = {r.encoder.name: r.curves[metric] for r in records if r.task == task}
        panels.append(
            LinePanel(
                task_title(task),
                metric,
                next(iter(curves.values())).x,
                {encoder: curve.points() for encoder, curve in curves.items()},
                metric_title(metric) + (" (%)" if is_share(metric) else ""),
                chance=_common_chance(curves.values()),
            )
        )
    caption = (
        f"{_sentence(metric_title(metric))} over {panels[0].x_label}. Bars are 95 % intervals "
        "over seeds; points are moved sideways a little to keep them apart."
    )
    if any(panel.chance for panel in panels):
        caption += " Grey: chance."
    return Picture(line_figure(panels), caption)


def _table(metric: str, records: Sequence[ScoreRecord]) -> Table:
    curves = [record.curves[metric] for record in records]
    every = sorted({x for curve in curves for x in curve.points()})
    rows = []
    for record, curve in zip(records, curves, strict=True):
        points = curve.points()
        texts = (score_text(metric, points.get(x), record.deviations) for x in every)
        rows.append([record.encoder.name, *texts])
    if chance := _common_chance(curves):
        points = {x: Interval(value, None) for x, value in chance.items()}
        rows.append(["chance", *(score_text(metric, points.get(x)) for x in every)])
    header = (curves[0].x, *(f"{x:g}" for x in every))
    title = f"{_sentence(metric_title(metric))}, {task_title(records[0].task)}"
    return Table(header, rows, title=title, note=deviation_note(records))


def _common_chance(curves: Iterable[Curve]) -> dict[float, float]:
    """Chance by x, if it is the same for all."""
    first, *others = ({float(x): value for x, value in curve.chance.items()} for curve in curves)
    return dict(sorted(first.items())) if all(other == first for other in others) else {}


def _sentence(title: str) -> str:
    return title[:1].upper() + title[1:]
