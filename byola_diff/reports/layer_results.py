"""What records say about layers: scores over the layers of an encoder, and what fusion gains."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from byola_diff.reports.figures import (
    WIDTH_INCHES,
    LinePanel,
    add_legend,
    add_panel,
    few_encoders,
    line_figure,
    new_figure,
    to_png,
)
from byola_diff.reports.report import MISSING, Part, Picture, Table
from byola_diff.reports.result_tables import (
    column_order,
    column_title,
    deviation_note,
    encoder_name,
    main_score,
    score_text,
)
from byola_diff.scores.record import Interval, Layer, Score, ScoreRecord, student_interval
from byola_diff.scores.task_names import GROUPS, is_share, lower_is_better, task_group, task_order

_MAX_TICKS = 13
_BARS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("over_layer", "over the best single layer", {"color": "#0072B2"}),
    ("over_scene", "over the scene embedding", {"color": "#F0E442", "hatch": "///"}),
)


@dataclass(frozen=True)
class FusionGain:
    """How much better a fusion is than what it is made from; positive is better."""

    record: ScoreRecord
    """The score of the fusion."""
    metric: str
    best_layer: str | None
    over_layer: Interval | None
    """Over the best measured single layer; None if no layer was measured."""
    over_scene: Interval | None
    """Over the scene embedding of the same encoder; None if that was not measured."""


def layer_parts(scored: Sequence[ScoreRecord], pictures: bool) -> list[Part]:
    """For each protocol, pictures (if wanted) by group of tasks, and the figures behind them."""
    parts: list[Part] = []
    layers = [record for record in scored if record.layer]
    for protocol in sorted({record.protocol for record in layers}):
        chosen = [record for record in layers if record.protocol == protocol]
        for group in GROUPS if pictures else ():
            drawn = [record for record in chosen if task_group(record.task) == group]
            for few in few_encoders(sorted(map(encoder_name, drawn))):
                some = [record for record in drawn if encoder_name(record) in few]
                caption = (
                    f"{group.capitalize()}, protocol {protocol}: probes on single layers. Bars are "
                    "95 % intervals; points are moved sideways a little to keep them apart. Layers "
                    f"of {_layers_in_words(some)}."
                )
                parts.append(Picture(layer_figure(some), caption))
        parts.append(layer_table(protocol, chosen))
    return parts


def layer_figure(records: Sequence[ScoreRecord]) -> bytes:
    """One panel per task, one line per encoder, over its layers."""
    panels = []
    for task, metric in sorted(set(map(_column, records)), key=column_order):
        names: dict[int, set[str]] = {}
        lines: dict[str, dict[float, Interval]] = {}
        for encoder, layer, record in _by_layer(records):
            if _column(record) == (task, metric):
                names.setdefault(layer.index, set()).add(layer.name)
                line = lines.setdefault(encoder, {})
                line[float(layer.index)] = main_score(record)[1].interval
        shared = all(len(same) == 1 for same in names.values())  # by all encoders
        indices = sorted(names)[:: math.ceil(len(names) / _MAX_TICKS)]
        panels.append(
            LinePanel(
                _one_line(task, metric) + (" (%)" if is_share(metric) else ""),
                metric,
                "layer" if shared else "layer, counted from 1",
                lines,
                ticks={float(i): min(names[i]) if shared else str(i) for i in indices},
            )
        )
    return line_figure(panels, max_columns=3)


def layer_table(protocol: str, records: Sequence[ScoreRecord]) -> Table:
    """The figures behind the curves of one protocol: layers by tasks."""
    columns = sorted(set(map(_column, records)), key=column_order)
    cells: dict[tuple[str, int, str], dict[tuple[str, str], str]] = {}
    for encoder, layer, record in _by_layer(records):
        metric, score = main_score(record)
        text = score_text(metric, score.interval, record.deviations)
        cells.setdefault((encoder, layer.index, layer.name), {})[record.task, metric] = text
    rows = [
        [f"{encoder}, layer {name}", *(row.get(column, MISSING) for column in columns)]
        for (encoder, _, name), row in cells.items()
    ]
    header = ("layer", *(column_title(*column) for column in columns))
    title = f"The same in figures, protocol {protocol}"
    return Table(header, rows, note=deviation_note(records), title=title)


def fusion_gains(records: Sequence[ScoreRecord]) -> list[FusionGain]:
    """Every fusion against the layers and the scene embedding of its own encoder.

    The best layer is the best on the test clips, which flatters it: its gain is a lower bound.
    Scores on different forms of a task, such as a part of it, are not compared.
    """
    gains = []
    for record in records:
        if not record.fusion:
            continue
        metric, score = main_score(record)
        sign = -1 if lower_is_better(metric) else 1
        rivals = [
            other
            for other in records
            if (encoder_name(other), other.protocol) == (record.fusion.of, record.protocol)
            and (_column(other), other.deviations) == ((record.task, metric), record.deviations)
        ]
        layers = {layer.name: main_score(one)[1] for _, layer, one in _by_layer(rivals)}
        best = max(layers, key=lambda name: sign * layers[name].mean, default=None)
        scene = next((main_score(one)[1] for one in rivals if one.whole), None)
        over_layer = _difference(score, layers[best], sign) if best else None
        over_scene = _difference(score, scene, sign) if scene else None
        gains.append(FusionGain(record, metric, best, over_layer, over_scene))
    return sorted(gains, key=lambda gain: (*_panel(gain), task_order(gain.record.task)))


def gain_parts(scored: Sequence[ScoreRecord], pictures: bool) -> list[Part]:
    """A picture (if wanted) and a table of what fusion gains; nothing if there is no fusion."""
    gains = [gain for gain in fusion_gains(scored) if gain.over_layer or gain.over_scene]
    parts: list[Part] = [gain_table(gains)] if gains else []
    if pictures and any(is_share(gain.metric) for gain in gains):
        caption = (
            "Score of each fusion minus that of the best single layer, and minus that of the plain "
            "scene embedding of the same encoder. Vertical lines are 95 % intervals."
        )
        parts.insert(0, Picture(gain_figure(gains), caption))
    return parts


def gain_figure(gains: Sequence[FusionGain]) -> bytes:
    """One panel per fusion: two bars per task, in points; vertical lines are 95 % intervals.

    Metrics that are no shares are left out: they have no points.
    """
    shown = [gain for gain in gains if is_share(gain.metric)]
    fusions = sorted(set(map(_panel, shown)))
    figure = new_figure(WIDTH_INCHES, 2.3 * len(fusions) + 0.4)
    for number, (protocol, fusion) in enumerate(fusions, start=1):
        chosen = [gain for gain in shown if _panel(gain) == (protocol, fusion)]
        titles = [_one_line(gain.record.task, gain.metric) for gain in chosen]
        place, title = (len(fusions), 1, number), f"{fusion}, protocol {protocol}"
        axes = add_panel(figure, place, title, y_label="gain (points)")
        for offset, (name, label, style) in zip((-0.18, 0.18), _BARS, strict=True):
            bars = {
                position + offset: over
                for position, gain in enumerate(chosen)
                if (over := getattr(gain, name)) is not None
            }
            axes.bar(
                list(bars),
                [100 * over.mean for over in bars.values()],
                yerr=[100 * (over.half_width or 0.0) for over in bars.values()],
                width=0.34,
                label=label,
                edgecolor="black",
                linewidth=0.6,
                error_kw={"elinewidth": 1.0, "capsize": 3},
                **style,
            )
        slant = 30 if len(titles) > 9 or max(map(len, titles)) > 10 else 0
        axes.set_xticks(range(len(titles)), titles, rotation=slant, fontsize=9)
        axes.set_xlim(-0.6, max(len(titles), 4) - 0.4)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.grid(visible=False, axis="x")
        axes.set_axisbelow(True)
    add_legend(figure, [label for _, label, _ in _BARS])
    return to_png(figure)


def gain_table(gains: Sequence[FusionGain]) -> Table:
    """Gains of fusions in points."""
    rows = [
        [
            gain.record.encoder.name,
            column_title(gain.record.task, gain.metric),
            score_text(gain.metric, gain.over_layer),
            gain.best_layer or MISSING,
            score_text(gain.metric, gain.over_scene),
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


def _by_layer(records: Sequence[ScoreRecord]) -> list[tuple[str, Layer, ScoreRecord]]:
    """Records of single layers with encoder and layer, in the order of these."""
    found = [(encoder_name(record), record.layer, record) for record in records if record.layer]
    return sorted(found, key=lambda one: (one[0], one[1].index, one[1].name))


def _layers_in_words(records: Sequence[ScoreRecord]) -> str:
    names: dict[str, dict[str, None]] = {}
    for encoder, layer, _ in _by_layer(records):
        names.setdefault(encoder, {})[layer.name] = None
    return "; ".join(f"{encoder}: {', '.join(layers)}" for encoder, layers in names.items())


def _column(record: ScoreRecord) -> tuple[str, str]:
    return record.task, main_score(record)[0]


def _panel(gain: FusionGain) -> tuple[str, str]:
    return gain.record.protocol, gain.record.encoder.name


def _one_line(task: str, metric: str) -> str:
    return column_title(task, metric).replace("\n", ", ")


def _difference(score: Score, other: Score, sign: int) -> Interval:
    """Paired by seed: what two probes of one seed share cancels. Else without an interval."""
    if score.values.keys() != other.values.keys():
        return Interval(sign * (score.mean - other.mean), None)
    return student_interval(
        [sign * (score.values[name] - other.values[name]) for name in score.values]
    )
