"""What records say about layers: scores over the layers of an encoder, and what fusion gains."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from byola_diff.scores.intervals import Interval, student_interval
from byola_diff.scores.record import Score, ScoreRecord
from byola_diff.scores.task_names import lower_is_better, metric_name, task_order


@dataclass(frozen=True)
class LayerPoint:
    """One layer's score."""

    index: int
    """From 1."""
    name: str
    score: Score
    deviations: tuple[str, ...] = ()
    """In what the clips were not those of the published task."""


@dataclass(frozen=True)
class LayerCurve:
    """Scores over the layers of one encoder on one task, in their order."""

    protocol: str
    task: str
    metric: str
    encoder: str
    points: tuple[LayerPoint, ...]


@dataclass(frozen=True)
class FusionGain:
    """How much better a fusion is than what it is made from; positive is better."""

    protocol: str
    task: str
    metric: str
    fusion: str
    best_layer: str | None
    over_layer: Interval | None
    """Over the best measured single layer; None if no layer was measured."""
    over_scene: Interval | None
    """Over the scene embedding of the same encoder; None if that was not measured."""


def main_score(record: ScoreRecord) -> tuple[str, Score]:
    """The metric that stands first, and its score."""
    metric, score = next(iter(record.scores.items()))
    return metric_name(metric), score


def layer_curves(records: Iterable[ScoreRecord]) -> list[LayerCurve]:
    """One curve per protocol, task and encoder that has records of single layers."""
    groups: dict[tuple[str, str, str, str], list[LayerPoint]] = {}
    for record in records:
        if record.layer:
            metric, score = main_score(record)
            key = record.protocol, record.task, metric, record.base or record.encoder.name
            point = LayerPoint(record.layer.index, record.layer.name, score, record.deviations)
            groups.setdefault(key, []).append(point)
    curves = [
        LayerCurve(*key, tuple(sorted(points, key=lambda point: point.index)))
        for key, points in groups.items()
    ]
    return sorted(curves, key=lambda curve: (curve.protocol, task_order(curve.task), curve.encoder))


def fusion_gains(records: Sequence[ScoreRecord]) -> list[FusionGain]:
    """Every fusion against the layers and the scene embedding of its own encoder.

    The best layer is the best on the test clips, which flatters it: its gain is a lower bound.
    Scores on different forms of a task, such as a part of it, are not compared.
    """
    curves = {(curve.protocol, curve.task, curve.encoder): curve for curve in layer_curves(records)}
    scenes = {record.key[:3]: record for record in records if record.whole and not record.fusion}
    gains = []
    for record in records:
        if not record.fusion:
            continue
        metric, score = main_score(record)
        sign = -1 if lower_is_better(metric) else 1
        place = record.protocol, record.task, record.fusion.of
        curve, scene = curves.get(place), scenes.get(place)
        points = curve.points if curve and curve.metric == metric else ()
        comparable = [point for point in points if point.deviations == record.deviations]
        best = max(comparable, key=lambda point: sign * point.score.mean, default=None)
        if scene and (main_score(scene)[0], scene.deviations) != (metric, record.deviations):
            scene = None
        gains.append(
            FusionGain(
                *(record.protocol, record.task, metric, record.encoder.name),
                best.name if best else None,
                _difference(score, best.score, sign) if best else None,
                _difference(score, main_score(scene)[1], sign) if scene else None,
            )
        )
    return sorted(gains, key=lambda gain: (gain.protocol, gain.fusion, task_order(gain.task)))


def _difference(score: Score, other: Score, sign: int) -> Interval:
    """Paired by seed: what two probes of one seed share cancels. Else without an interval."""
    if score.values.keys() != other.values.keys():
        return Interval(sign * (score.mean - other.mean), None)
    return student_interval(
        [sign * (score.values[name] - other.values[name]) for name in score.values]
    )
