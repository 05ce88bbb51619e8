"""Score records: one JSON file per run, from which reports are made."""

import json
import platform
import re
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from byola_diff.atomic import write_text
from byola_diff.commit import code_commit
from byola_diff.evaluation.encoders import NamedEncoder
from byola_diff.evaluation.intervals import student_interval


def score_record(
    protocol: str,
    task: str,
    encoder: NamedEncoder,
    scores: Mapping[str, Mapping[str, float]],
    settings: Mapping[str, Any],
    wall_s: float,
) -> dict[str, Any]:
    """Everything that a score depends on, in plain values.

    Args:
        protocol: "linear", "additivity", ...
        task: What it was measured on.
        encoder: What was measured.
        scores: Values of each metric by fold, seed or split; the mean and its 95 % interval over
            them are added.
        settings: Of the protocol.
        wall_s: Seconds that the run took.
    """
    return {
        "protocol": protocol,
        "task": task,
        "encoder": {"name": encoder.name, "sha256": encoder.content_hash},
        "scores": {metric: _summary(values) for metric, values in scores.items()},
        "settings": dict(settings),
        "versions": {name: _version(name) for name in ("byola-diff", "torch", "scikit-learn")}
        | {"python": platform.python_version()},
        "commit": code_commit(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "wall_s": round(wall_s, 2),
    }


def write_record(folder: Path, record: Mapping[str, Any]) -> Path:
    """Write the record, named by protocol, task and encoder; an older one is replaced."""
    words = [record["protocol"], record["task"], record["encoder"]["name"]]
    digest = record["encoder"]["sha256"][:8]
    name = "-".join(re.sub(r"[^A-Za-z0-9.]+", "_", word).strip("_.") for word in words)
    path = folder / f"{name}-{digest}.json"
    write_text(path, json.dumps(record, indent=2) + "\n")
    return path


def _summary(values: Mapping[str, float]) -> dict[str, Any]:
    interval = student_interval(list(values.values()))
    return {"values": dict(values), "mean": interval.mean, "ci95": interval.half_width}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
