"""Curves in a report: a figure and a table for each metric, and how to read them."""

from collections.abc import Iterable, Sequence

from byola_diff.reports.curve_figures import EncoderCurve, curve_figure
from byola_diff.reports.deviation_marks import deviation_note
from byola_diff.reports.published import MISSING
from byola_diff.reports.report import Picture, Table, Text
from byola_diff.reports.result_figures import MAX_CURVES
from byola_diff.reports.result_tables import row_order, score_text
from byola_diff.scores.curve import Curve
from byola_diff.scores.read import Record, Score
from byola_diff.scores.task_names import metric_title, task_order, task_title

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


def curve_parts(scored: Iterable[Record], pictures: bool) -> list[Text | Table | Picture]:
    """What a report shows of the curves of its records; nothing if there are none.

    Args:
        scored: Records; those of single layers and those without curves are passed over.
        pictures: Whether to draw figures beside the tables.
    """
    chosen = sorted((r for r in scored if r.curves and r.whole), key=row_order)
    parts: list[Text | Table | Picture] = []
    if any(record.protocol == "additivity" for record in chosen):
        parts.append(Text(ADDITIVITY_NOTE))
    metrics = dict.fromkeys((r.protocol, metric) for r in chosen for metric in r.curves)
    for protocol, metric in sorted(metrics, key=lambda pair: pair[0]):
        ours = [r for r in chosen if r.protocol == protocol and metric in r.curves]
        if metric == "polyphony":
            parts.append(Text(POLYPHONY_NOTE))
        if pictures:
            parts += _pictures(metric, ours)
        for task in sorted({record.task for record in ours}, key=task_order):
            parts.append(_table(metric, [record for record in ours if record.task == task]))
    return parts


def _pictures(metric: str, records: Sequence[Record]) -> list[Picture]:
    """As many figures as it takes to tell the lines apart."""
    encoders = list(dict.fromkeys(record.encoder for record in records))
    figures = []
    for start in range(0, len(encoders), MAX_CURVES):
        few = encoders[start : start + MAX_CURVES]
        curves = [
            EncoderCurve(record.task, record.encoder, record.curves[metric])
            for record in records
            if record.encoder in few
        ]
        caption = (
            f"{_sentence(metric_title(metric))} over {curves[0].curve.x}. Bars are 95 % intervals "
            "over seeds; points are moved sideways a little to keep them apart."
        )
        if any(curve.curve.chance for curve in curves):
            caption += " Grey: chance."
        figures.append(Picture(curve_figure(metric, curves), caption))
    return figures


def _table(metric: str, records: Sequence[Record]) -> Table:
    curves = {record.encoder: record.curves[metric] for record in records}
    marks = {record.encoder: record.deviations for record in records}
    every = sorted({x for curve in curves.values() for x in curve.points()})
    rows = [[name, *_cells(metric, curve, every, marks[name])] for name, curve in curves.items()]
    chances = {tuple(curve.chances().items()) for curve in curves.values()}
    if len(chances) == 1 and (chance := dict(chances.pop())):
        known = {x: Score({}, value, None) for x, value in chance.items()}
        rows.append(
            ["chance", *(score_text(metric, known[x]) if x in known else MISSING for x in every)]
        )
    first = next(iter(curves.values()))
    header = (first.x, *(f"{x:g}" for x in every))
    title = f"{_sentence(metric_title(metric))}, {task_title(records[0].task)}"
    note = deviation_note((record.task, record.encoder, record.deviations) for record in records)
    return Table(header, rows, title=title, note=note)


def _cells(
    metric: str, curve: Curve, every: Sequence[float], deviations: tuple[str, ...]
) -> list[str]:
    points = curve.points()
    return [
        score_text(metric, Score({}, points[x].mean, points[x].half_width, deviations))
        if x in points
        else MISSING
        for x in every
    ]


def _sentence(title: str) -> str:
    return title[:1].upper() + title[1:]
