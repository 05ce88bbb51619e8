"""Where the scores of a report come from: software, encoders, settings, choices of the probes."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from byola_diff.reports.report import Table
from byola_diff.scores.record import ScoreRecord
from byola_diff.scores.task_names import task_order, task_title

_HASH_DIGITS = 12
_UNKNOWN = "unknown"


def software_table(records: Sequence[ScoreRecord]) -> Table:
    """Each combination of commit and versions, how many records have it, and from when."""
    rows = []
    for (commit, versions), group in _grouped(records, _software).items():
        days = sorted(record.finished for record in group)
        span = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
        rows.append([commit, str(len(group)), span, versions])
    header = ("commit", "records", "finished", "versions")
    return Table(header, rows, title="Software", text_columns=frozenset({3}))


def encoder_table(records: Sequence[ScoreRecord]) -> Table:
    """Content hash of each encoder, with the tasks it was measured on."""
    groups = _grouped(
        records, lambda record: (record.encoder.name, record.encoder.sha256 or _UNKNOWN)
    )
    rows = [
        [encoder, sha256[:_HASH_DIGITS], _tasks(group)]
        for (encoder, sha256), group in sorted(groups.items())
    ]
    header = ("encoder", "SHA-256", "tasks")
    return Table(header, rows, title="Encoders, by content", text_columns=frozenset({2}))


def settings_table(records: Sequence[ScoreRecord]) -> Table:
    """Each protocol's settings, with the tasks that had them."""
    groups = _grouped(records, lambda record: (record.protocol, _plain(record.settings)))
    rows = [
        [protocol, _tasks(group), settings]
        for (protocol, settings), group in sorted(groups.items())
    ]
    header = ("protocol", "tasks", "settings")
    return Table(header, rows, title="Settings", text_columns=frozenset({1, 2}))


def probe_table(records: Sequence[ScoreRecord]) -> Table | None:
    """What each probe chose, those of single layers aside; None if no record has any."""
    chosen = [record for record in records if record.whole and record.probe]
    if not chosen:
        return None
    chosen.sort(key=lambda record: (record.protocol, task_order(record.task), record.encoder.name))
    rows = [[r.encoder.name, r.protocol, task_title(r.task), _plain(r.probe)] for r in chosen]
    header = ("encoder", "protocol", "task", "chosen")
    return Table(header, rows, title="Choices of the probes", text_columns=frozenset({3}))


def _software(record: ScoreRecord) -> tuple[str, str]:
    versions = record.versions
    installed = [f"{name} {version}" for name, version in versions.items() if version]
    commit, _, dirty = str(record.commit or _UNKNOWN).partition("-")
    return commit[:_HASH_DIGITS] + (f"-{dirty}" if dirty else ""), ", ".join(installed)


def _grouped(
    records: Iterable[ScoreRecord], key: Callable[[ScoreRecord], tuple[str, str]]
) -> dict[tuple[str, str], list[ScoreRecord]]:
    groups: dict[tuple[str, str], list[ScoreRecord]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return groups


def _tasks(records: Iterable[ScoreRecord]) -> str:
    tasks = sorted({record.task for record in records}, key=task_order)
    return ", ".join(task_title(task) for task in tasks)


def _plain(settings: Mapping[str, Any]) -> str:
    words = (f"{name}: {json.dumps(value)}" for name, value in sorted(settings.items()))
    return "; ".join(words) or "none"
