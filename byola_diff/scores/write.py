"""Score records: one JSON file per run, from which reports are made.

Format 2. Scores are shares in 0..1 wherever they are shares at all; reports turn them to percent.
"""

import hashlib
import json
import math
import platform
import re
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from byola_diff.atomic import write_text
from byola_diff.commit import code_commit
from byola_diff.encoders.open import NamedEncoder
from byola_diff.scores.curve import Curve, parse_curve
from byola_diff.scores.intervals import student_interval

FORMAT = 2

_PACKAGES = ("byola-diff", "torch", "numpy", "scikit-learn", "transformers", "torchcrepe")
_MAX_WORD = 60

Record = dict[str, Any]
"""Plain values, as they stand in the file."""

Values = Mapping[str, float | Mapping[str, float]]
"""One value per seed (or fold, or split); or by seed, one value per fold."""


def score_record(
    protocol: str,
    task: str,
    encoder: NamedEncoder,
    scores: Mapping[str, Values],
    settings: Mapping[str, Any],
    wall_s: float,
    *,
    layer: tuple[str, int, int] | None = None,
    fusion: tuple[str, Sequence[str]] | None = None,
    base: str | None = None,
    probe: Mapping[str, Any] | None = None,
    curves: Mapping[str, Curve] | None = None,
) -> Record:
    """Everything that a score depends on, in plain values.

    Args:
        protocol: "linear", "additivity", ...
        task: What it was measured on.
        encoder: What was measured.
        scores: By metric, the main one first. The mean and its 95 % interval over the values are
            added. Where a seed has a value per fold, folds are averaged with equal weight first.
        settings: Of the protocol.
        wall_s: Seconds that the run took.
        layer: Name, place from 1, and number of layers, if a single layer was measured.
        fusion: Name of the encoder whose layers were fused, and the layers.
        base: Name of the encoder that a layer or a fusion is of, if not told above.
        probe: What the run chose, such as learning rates.
        curves: By metric, what was measured over something that was varied.

    Raises:
        ValueError: If there is no score, a value is not finite, a curve has no points, or the
            layer's place is impossible.
    """
    if not scores:
        raise ValueError(f"{protocol} of {encoder.name} on {task} has no scores to record")
    return {
        **_identity(protocol, task, encoder.name, encoder.content_hash, layer, fusion, base),
        "status": "ok",
        "error": None,
        "scores": {metric: _summary(values) for metric, values in scores.items()},
        "settings": dict(settings),
        "probe": dict(probe or {}),
        **_curves(curves or {}),
        **_circumstances(wall_s),
    }


def failure_record(
    protocol: str,
    task: str,
    encoder: str,
    error: BaseException | str,
    settings: Mapping[str, Any],
    wall_s: float,
    *,
    sha256: str | None = None,
) -> Record:
    """The record of a run that gave no score, and why.

    Args:
        protocol: What was to be measured.
        task: On what.
        encoder: Name of the encoder, which may be one that can't be opened.
        error: What went wrong.
        settings: Of the protocol.
        wall_s: Seconds until it failed.
        sha256: Content of the encoder, if it was opened.
    """
    message = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return {
        **_identity(protocol, task, encoder, sha256),
        "status": "failed",
        "error": message,
        "scores": {},
        "settings": dict(settings),
        "probe": {},
        **_circumstances(wall_s),
    }


def write_record(folder: Path, record: Mapping[str, Any]) -> Path:
    """Write the record, named by what it is of; an older one of the same is replaced.

    Another encoder content or another setting makes another file. A failure replaces earlier
    failures only: it takes no score away.
    """
    layer = record["layer"]["name"] if record["layer"] else None
    encoder = record["encoder"]
    identity = [record["protocol"], record["task"], encoder["name"], layer, record["status"]]
    # Names that clean up to the same word must not share a file.
    whole = json.dumps([*identity, encoder["sha256"], record["settings"]], sort_keys=True)
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    words = [*identity[:3], *([f"layer {layer}"] if layer else [])]
    if record["status"] != "ok":
        words.append(record["status"])
    clean = (re.sub(r"[^A-Za-z0-9.]+", "_", word).strip("_.")[-_MAX_WORD:] for word in words)
    path = folder / f"{'-'.join(clean)}-{digest}.json"
    write_text(path, json.dumps(record, indent=2, allow_nan=False) + "\n")
    return path


def _identity(
    protocol: str,
    task: str,
    encoder: str,
    sha256: str | None,
    layer: tuple[str, int, int] | None = None,
    fusion: tuple[str, Sequence[str]] | None = None,
    base: str | None = None,
) -> dict[str, Any]:
    if layer and not 1 <= layer[1] <= layer[2]:
        raise ValueError(f"layer {layer[0]!r} can't be number {layer[1]} of {layer[2]}")
    return {
        "format": FORMAT,
        "protocol": protocol,
        "task": task,
        "encoder": {"name": encoder, "sha256": sha256},
        "base": base or (fusion[0] if fusion else None),
        "layer": dict(zip(("name", "index", "of"), layer, strict=True)) if layer else None,
        "fusion": {"of": fusion[0], "layers": list(fusion[1])} if fusion else None,
    }


def _curves(curves: Mapping[str, Curve]) -> dict[str, Any]:
    """Nothing if there are none: most records have none."""
    plain = {metric: curve.to_plain() for metric, curve in curves.items()}
    for metric, raw in plain.items():
        parse_curve(metric, raw)
    return {"curves": plain} if plain else {}


def _circumstances(wall_s: float) -> dict[str, Any]:
    return {
        "versions": {name: _version(name) for name in _PACKAGES}
        | {"python": platform.python_version()},
        "commit": code_commit(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "wall_s": round(wall_s, 2),
    }


def _summary(values: Values) -> dict[str, Any]:
    per_fold = {name: dict(value) for name, value in values.items() if isinstance(value, Mapping)}
    if per_fold and len(per_fold) != len(values):
        raise ValueError(f"either all or none of {list(values)} need values per fold")
    means = {
        name: math.fsum(value.values()) / len(value) if isinstance(value, Mapping) else float(value)
        for name, value in values.items()
    }
    interval = student_interval(list(means.values()))
    summary = {"values": means, "mean": interval.mean, "ci95": interval.half_width}
    return summary | ({"per_fold": per_fold} if per_fold else {})


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
