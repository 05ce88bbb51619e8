"""Where the scores of a report come from: software, encoders, settings, choices of the probes."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from byola_diff.reports.report import Table
from byola_diff.scores.read import Record
from byola_diff.scores.task_names import task_order, task_title

_HASH_DIGITS = 12
_UNKNOWN = "unknown"


def software_table(records: Sequence[Record]) -> Table:
    """Each combination of commit and versions, how many records have it, and from when."""
    rows = []
    for (commit, versions), group in _grouped(records, _software).items():
        days = sorted(record.finished for record in group)
        span = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
        rows.append([commit, str(len(group)), span, versions])
    header = ("commit", "records", "finished", "versions")
    return Table(header, rows, title="Software", text_columns=frozenset({3}))


def encoder_table(records: Sequence[Record]) -> Table:
    """Content hash of each encoder, with the tasks it was measured on."""
    groups = _grouped(records, lambda record: (record.encoder, record.sha256 or _UNKNOWN))
    rows = [
        [encoder, sha256[:_HASH_DIGITS], _tasks(group)]
        for (encoder, sha256), group in sorted(groups.items())
    ]
    header = ("encoder", "SHA-256", "tasks")
    return Table(header, rows, title="Encoders, by content", text_columns=frozenset({2}))


def settings_table(records: Sequence[Record]) -> Table:
    """Each protocol's settings, with the tasks that had them."""
    groups = _grouped(records, lambda record: (record.protocol, _plain(record.details["settings"])))
    rows = [
        [protocol, _tasks(group), settings]
        for (protocol, settings), group in sorted(groups.items())
    ]
    header = ("protocol", "tasks", "settings")
    return Table(header, rows, title="Settings", text_columns=frozenset({1, 2}))


def probe_table(records: Sequence[Record]) -> Table | None:
    """What each probe chose, those of single layers aside; None if no record tells."""
    chosen = [record for record in records if record.whole and record.details["probe"]]
    chosen.sort(key=lambda record: (record.protocol, task_order(record.task), record.encoder))
    rows = [
        [
            *(record.encoder, record.protocol, task_title(record.task)),
            _plain(record.details["probe"]),
        ]
        for record in chosen
    ]
    header = ("encoder", "protocol", "task", "chosen")
    if not rows:
        return None
    return Table(header, rows, title="Choices of the probes", text_columns=frozenset({3}))


def _software(record: Record) -> tuple[str, str]:
    versions = record.details["versions"]
    installed = [f"{name} {version}" for name, version in versions.items() if version]
    commit, _, dirty = str(record.details["commit"] or _UNKNOWN).partition("-")
    return commit[:_HASH_DIGITS] + (f"-{dirty}" if dirty else ""), ", ".join(installed)


def _grouped(
    records: Iterable[Record], key: Callable[[Record], tuple[str, str]]
) -> dict[tuple[str, str], list[Record]]:
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return groups


def _tasks(records: Iterable[Record]) -> str:
    tasks = sorted({record.task for record in records}, key=task_order)
    return ", ".join(task_title(task) for task in tasks)


def _plain(settings: Mapping[str, Any]) -> str:
    words = (f"{name}: {json.dumps(value)}" for name, value in sorted(settings.items()))
    return "; ".join(words) or "none"
