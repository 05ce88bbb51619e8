"""Score records made and written."""

import hashlib
import json
import platform
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from byola_diff.atomic import write_text
from byola_diff.commit import code_commit, package_versions
from byola_diff.encoders.open import NamedEncoder
from byola_diff.scores.record import (
    Curve,
    EncoderIdentity,
    Fusion,
    Layer,
    Score,
    ScoreRecord,
    student_interval,
)
from byola_diff.storage import sealed_json

_PACKAGES = ("byola-diff", "torch", "numpy", "scikit-learn", "transformers", "torchcrepe")
_MAX_NAME = 60

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
) -> ScoreRecord:
    """The record of a run whose scores come by metric, the main one first.

    Folds of a seed are averaged with equal weight. `layer` is name, place from 1, and number of
    layers; `fusion` is the name of the encoder whose layers were fused, and the layers; `base` may
    be left out where `fusion` has the same name. All else is as in `ScoreRecord`.

    Raises:
        ValueError: If there is no score, or one is not finite.
    """
    return ScoreRecord(
        protocol=protocol,
        task=task,
        encoder=EncoderIdentity(encoder.name, encoder.content_hash),
        base=base or (fusion[0] if fusion else None),
        layer=Layer(*layer) if layer else None,
        fusion=Fusion(fusion[0], tuple(fusion[1])) if fusion else None,
        scores={metric: _score(values) for metric, values in scores.items()},
        settings=dict(settings),
        probe=dict(probe or {}),
        curves=dict(curves or {}),
        **_circumstances(wall_s),
    )


def failure_record(
    protocol: str,
    task: str,
    encoder: str,
    error: BaseException | str,
    settings: Mapping[str, Any],
    wall_s: float,
    *,
    sha256: str | None = None,
) -> ScoreRecord:
    """The record of a run that gave no score, and why.

    The encoder may be one that can't be opened: it has a name, and a hash only if it was opened.
    """
    return ScoreRecord(
        protocol=protocol,
        task=task,
        encoder=EncoderIdentity(encoder, sha256),
        status="failed",
        error=error if isinstance(error, str) else f"{type(error).__name__}: {error}",
        scores={},
        settings=dict(settings),
        **_circumstances(wall_s),
    )


def write_record(folder: Path, record: ScoreRecord) -> Path:
    """Write the record, named by what it is of; an older one of the same is replaced.

    Another encoder content or setting makes another file; a failure replaces failures only.
    """
    protocol, task, encoder, layer = record.key
    # Names that clean up to the same letters must not share a file.
    identity = [*record.key, record.status, record.encoder.sha256, record.settings]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
    failed = "failed" if record.status == "failed" else None
    names = [protocol, task, encoder, layer and f"layer {layer}", failed]
    clean = "-".join(file_name(name)[-_MAX_NAME:] for name in names if name)
    path = folder / f"{clean}-{digest}.json"
    # By the json module: pydantic would write null for a setting that is not finite.
    write_text(path, sealed_json(record.model_dump()))
    return path


def file_name(text: str) -> str:
    """The letters, digits and dots of a text, with `_` for all between; perhaps none."""
    return re.sub(r"[^A-Za-z0-9.]+", "_", text).strip("_.")


def _score(values: Values) -> Score:
    per_fold = {name: dict(value) for name, value in values.items() if isinstance(value, Mapping)}
    if per_fold and len(per_fold) != len(values):
        raise ValueError(f"either all or none of {list(values)} need values per fold")
    means = {
        name: fmean(value.values()) if isinstance(value, Mapping) else float(value)
        for name, value in values.items()
    }
    return Score(means, *student_interval(list(means.values())), per_fold)


def _circumstances(wall_s: float) -> dict[str, Any]:
    return {
        "versions": package_versions(_PACKAGES) | {"python": platform.python_version()},
        "commit": code_commit(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "wall_s": round(wall_s, 2),
    }
