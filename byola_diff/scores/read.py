"""Score records read back, whoever wrote them: one that can't be used is reported, never fatal."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import from_json

from byola_diff.scores.record import SEALED_FROM, ScoreRecord
from byola_diff.storage import BrokenFileError, check_seal
from byola_diff.tables.validation import fault

EXTRA_SUFFIX = ".exhibit.json"
"""Ends the names of files for the report that lie beside score records."""


@dataclass(frozen=True)
class Records:
    """What a report is made of; each key has one score or one failure."""

    scored: tuple[ScoreRecord, ...]
    failed: tuple[ScoreRecord, ...]
    problems: tuple[str, ...]
    """Files that could not be used, and records that gave way to newer ones."""


def read_records(paths: Path | Sequence[Path]) -> Records:
    """Records of folders (searched through) and files.

    Of several scores of one (protocol, task, encoder, layer) the newest is kept. A failure counts
    only where nothing newer succeeded, and hides no older score.

    Raises:
        FileNotFoundError: If a path does not exist.
    """
    records: list[ScoreRecord] = []
    problems: list[str] = []
    foreign: list[str] = []
    for path in json_files(paths):
        try:
            content = path.read_bytes()
            raw = from_json(content)
            if isinstance(raw, dict) and {"protocol", "task", "encoder"} <= raw.keys():
                record = ScoreRecord.model_validate({"format": 1, **raw, "path": path})
                check_seal(path, content, required=record.format >= SEALED_FROM)
                records.append(record)
            else:
                foreign.append(str(path))
        except BrokenFileError as error:
            problems.append(f"{path} left out: {error.reason}; run its evaluation again")
        except (OSError, ValueError) as error:
            problems.append(f"{path} left out: {fault(error)}")
    if foreign:
        problems.append(f"Not score records, left out: {', '.join(foreign)}")
    scored, failed = (
        _newest([record for record in records if record.status == status], problems)
        for status in ("ok", "failed")
    )
    for key, failure in list(failed.items()):
        # A run over layers fails as a whole, and its scores are of layers.
        mended = [one for one in scored.values() if one.key == key or one.key[:3] == key[:3]]
        if any(one.finished >= failure.finished for one in mended):
            del failed[key]
    return Records(tuple(scored.values()), tuple(failed.values()), tuple(problems))


def json_files(paths: Path | Iterable[Path], *, extras: bool = False) -> list[Path]:
    """Files of score records, or extras, in folders (searched through) and of those given.

    Raises:
        FileNotFoundError: If a path does not exist.
    """
    found: dict[Path, None] = {}
    for path in [paths] if isinstance(paths, Path) else paths:
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist: give folders or files of records")
        for file in sorted(path.rglob("*.json")) if path.is_dir() else [path]:
            if file.is_file() and file.name.endswith(EXTRA_SUFFIX) == extras:
                found.setdefault(file.resolve())
    return list(found)


def _newest(records: Sequence[ScoreRecord], problems: list[str]) -> dict[tuple, ScoreRecord]:
    newest: dict[tuple, ScoreRecord] = {}
    for record in sorted(records, key=lambda record: record.finished):
        older = newest.pop(record.key, None)
        if older is not None:
            name = ", ".join(part for part in record.key if part is not None)
            problems.append(
                f"{name}: the newest is shown ({record.path}, {record.finished}), not "
                f"{older.path} ({older.finished}{_difference(older, record)})"
            )
        newest[record.key] = record
    return newest


def _difference(older: ScoreRecord, newer: ScoreRecord) -> str:
    """In what two runs of the same name were not the same."""
    weights = "" if older.encoder.sha256 == newer.encoder.sha256 else ", of other weights"
    old, new = older.settings, newer.settings
    changed = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return weights + (f", with other settings: {', '.join(changed)}" if changed else "")
