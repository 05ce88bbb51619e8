"""Score records as CSV: one line per run and metric, nothing rounded, shares in 0..1."""

import csv
import io
import json
from typing import Any

from byola_diff.scores.read import Records
from byola_diff.scores.record import ScoreRecord

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
            figures = {"metric": metric, "mean": score.mean, "ci95": score.ci95}
            values = {"n_values": len(score.values), "values": json.dumps(score.values)}
            writer.writerow(common | figures | values)
        if not record.scores:
            writer.writerow(common)
    return buffer.getvalue()


def _common(record: ScoreRecord) -> dict[str, Any]:
    plain = ("protocol", "task", "base", "status", "error", "commit", "finished", "wall_s", "path")
    common = {name: getattr(record, name) for name in plain}
    common |= {"encoder": record.encoder.name, "sha256": record.encoder.sha256}
    if record.layer:
        layer = record.layer
        common |= {"layer": layer.name, "layer_index": layer.index, "n_layers": layer.of}
    layers = record.fusion.layers if record.fusion else None
    lists = {"fusion_layers": layers, "probe": record.probe, "deviations": record.deviations}
    return common | {name: json.dumps(value) for name, value in lists.items() if value}
