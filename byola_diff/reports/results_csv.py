"""Score records as CSV: one line per run and metric, nothing rounded, shares in 0..1."""

import csv
import io
import json
from typing import Any

from byola_diff.scores.read import Record, Records, Score

COLUMNS = (
    *("protocol", "task", "encoder", "sha256", "base", "layer", "layer_index", "n_layers"),
    *("fusion_layers", "status", "metric", "mean", "ci95", "n_values", "values", "probe"),
    *("deviations", "error", "commit", "finished", "wall_s", "path"),
)


def to_csv(records: Records) -> str:
    """A header and one line per metric; a failure has one line without a metric.

    `values`, `probe`, `deviations` and `fusion_layers` are JSON.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for record in (*records.scored, *records.failed):
        common = _common(record)
        for metric, score in record.scores.items():
            writer.writerow(common | _figures(metric, score))
        if not record.scores:
            writer.writerow(common)
    return buffer.getvalue()


def _common(record: Record) -> dict[str, Any]:
    layer = record.layer or {}
    return {
        "protocol": record.protocol,
        "task": record.task,
        "encoder": record.encoder,
        "sha256": record.sha256,
        "base": record.base,
        "layer": layer.get("name"),
        "layer_index": layer.get("index"),
        "n_layers": layer.get("of"),
        "fusion_layers": json.dumps(record.fusion["layers"]) if record.fusion else None,
        "status": "ok" if record.error is None else "failed",
        "probe": json.dumps(record.details["probe"]) if record.details["probe"] else None,
        "deviations": json.dumps(record.deviations) if record.deviations else None,
        "error": record.error,
        "commit": record.details["commit"],
        "finished": record.finished,
        "wall_s": record.details["wall_s"],
        "path": str(record.path),
    }


def _figures(metric: str, score: Score) -> dict[str, Any]:
    return {
        "metric": metric,
        "mean": score.mean,
        "ci95": score.ci95,
        "n_values": len(score.values),
        "values": json.dumps(dict(score.values)),
    }
