"""Score records read back, whoever wrote them: what can't be used is told, never fatal."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from byola_diff.scores.curve import Curve, parse_curve
from byola_diff.scores.write import FORMAT


@dataclass(frozen=True)
class Score:
    """One metric of one run."""

    values: Mapping[str, float]
    """By seed, fold or split."""
    mean: float
    ci95: float | None
    """Half of the 95 % interval; None for a single value."""
    deviations: tuple[str, ...] = ()
    """In what the clips were not those of the published task."""


@dataclass(frozen=True)
class Record:
    """One run, as its file tells it."""

    path: Path
    protocol: str
    task: str
    encoder: str
    sha256: str | None
    error: str | None
    """Why there are no scores; None if there are."""
    scores: Mapping[str, Score]
    """By metric, the main one first."""
    finished: str
    layer: Mapping[str, Any] | None = None
    fusion: Mapping[str, Any] | None = None
    base: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    """Settings, probe, versions, commit, wall time."""
    curves: Mapping[str, Curve] = field(default_factory=dict)
    """By metric, what was measured over something that was varied."""

    @property
    def key(self) -> tuple[str, str, str, str | None]:
        """What it is a measurement of."""
        return self.protocol, self.task, self.encoder, self.layer["name"] if self.layer else None

    @property
    def whole(self) -> bool:
        """Whether it is of an encoder, fusion or ensemble, not of one layer for a curve."""
        return self.layer is None

    @property
    def deviations(self) -> tuple[str, ...]:
        """In what the clips were not those of the published task."""
        return next((score.deviations for score in self.scores.values()), ())


@dataclass(frozen=True)
class Records:
    """What a report is made of; each key has one score or one failure."""

    scored: tuple[Record, ...]
    failed: tuple[Record, ...]
    problems: tuple[str, ...]
    """Files that could not be used, and records that gave way to newer ones."""


def read_records(paths: Path | Sequence[Path]) -> Records:
    """Records of folders (searched through) and files.

    Of several scores of one (protocol, task, encoder, layer) the newest is kept. A failure counts
    only where nothing newer succeeded, and hides no older score.

    Raises:
        FileNotFoundError: If a path does not exist.
    """
    records: list[Record] = []
    problems: list[str] = []
    foreign: list[str] = []
    for path in _files([paths] if isinstance(paths, Path) else paths):
        try:
            raw = json.loads(path.read_bytes())
            if not isinstance(raw, dict) or not {"protocol", "task", "encoder"} <= raw.keys():
                foreign.append(str(path))
            else:
                records.append(_parse(path, raw))
        except RecursionError:
            problems.append(f"{path} left out: nested too deeply")
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            problems.append(f"{path} left out: {_reason(error)}")
    if foreign:
        problems.append(f"Not score records, left out: {', '.join(foreign)}")
    scored = _newest([record for record in records if record.error is None], problems)
    failed = _newest([record for record in records if record.error is not None], problems)
    current = [
        record
        for key, record in failed.items()
        if key not in scored or scored[key].finished < record.finished
    ]
    return Records(tuple(scored.values()), tuple(current), tuple(problems))


def _files(paths: Iterable[Path]) -> list[Path]:
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist: give folders or files of records")
        for file in sorted(path.rglob("*.json")) if path.is_dir() else [path]:
            # Exhibits lie beside records; `exhibits.py` reads them.
            if file.is_file() and not file.name.endswith(".exhibit.json"):
                found.setdefault(file.resolve())
    return list(found)


def _parse(path: Path, raw: Mapping[str, Any]) -> Record:
    if raw.get("format", 1) > FORMAT:
        raise ValueError(f"format {raw['format']} is newer than this program, which reads {FORMAT}")
    status = raw.get("status", "ok")  # format 1 knew no failures
    if status not in ("ok", "failed"):
        raise ValueError(f"unknown status {status!r}")
    details = _details(raw)
    deviations = _deviations(details["settings"])
    scores = {str(name): _score(name, score, deviations) for name, score in raw["scores"].items()}
    if (status == "ok") != bool(scores):
        raise ValueError(f"status {status!r} with {len(scores)} scores")
    layer, fusion = raw.get("layer"), raw.get("fusion")
    if layer is not None:
        layer = {"name": str(layer["name"]), "index": int(layer["index"]), "of": int(layer["of"])}
    if fusion is not None:
        fusion = {"of": str(fusion["of"]), "layers": [str(name) for name in fusion["layers"]]}
    return Record(
        path=path,
        protocol=_text(raw, "protocol"),
        task=_text(raw, "task"),
        encoder=_text(raw["encoder"], "name"),
        sha256=raw["encoder"].get("sha256"),
        error=None if status == "ok" else str(raw.get("error") or "no reason recorded"),
        scores=scores,
        finished=_text(raw, "finished"),
        layer=layer,
        fusion=fusion,
        base=raw.get("base") or (fusion["of"] if fusion else None),
        details=details,
        curves={str(name): parse_curve(name, c) for name, c in (raw.get("curves") or {}).items()},
    )


def _details(raw: Mapping[str, Any]) -> dict[str, Any]:
    for name in ("settings", "probe", "versions"):
        if not isinstance(raw.get(name) or {}, dict):
            raise ValueError(f"{name!r} is not a table of names and values")
    details = {name: raw.get(name) or {} for name in ("settings", "probe", "versions")}
    return details | {"commit": raw.get("commit"), "wall_s": raw.get("wall_s")}


def _deviations(settings: Mapping[str, Any]) -> tuple[str, ...]:
    words = settings.get("deviations", [])
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"deviations of the task are {words!r}, not a list of texts")
    return tuple(words)


def _score(metric: str, raw: Mapping[str, Any], deviations: tuple[str, ...]) -> Score:
    values = {str(name): float(value) for name, value in raw["values"].items()}
    mean, ci95 = float(raw["mean"]), None if raw["ci95"] is None else float(raw["ci95"])
    if not all(map(math.isfinite, [*values.values(), mean, ci95 or 0.0])):
        raise ValueError(f"{metric} is not finite")
    return Score(values, mean, ci95, deviations)


def _text(raw: Mapping[str, Any], name: str) -> str:
    if not isinstance(raw[name], str) or not raw[name]:
        raise ValueError(f"{name!r} is {raw[name]!r}, not a name")
    return raw[name]


def _newest(records: Sequence[Record], problems: list[str]) -> dict[tuple, Record]:
    newest: dict[tuple, Record] = {}
    for record in sorted(records, key=lambda record: record.finished):
        older = newest.pop(record.key, None)
        if older is not None:
            name = ", ".join(str(word) for word in record.key if word is not None)
            problems.append(
                f"{name}: the newest is shown ({record.path}, {record.finished}), not "
                f"{older.path} ({older.finished}{_difference(older, record)})"
            )
        newest[record.key] = record
    return newest


def _difference(older: Record, newer: Record) -> str:
    """In what two runs of the same name were not the same."""
    words = "" if older.sha256 == newer.sha256 else ", of other weights"
    old, new = older.details["settings"], newer.details["settings"]
    changed = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return words + (f", with other settings: {', '.join(changed)}" if changed else "")


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it lacks {error.args[0]!r}"
    return f"{error}" or type(error).__name__
