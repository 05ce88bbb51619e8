"""The report on score records: one HTML file that needs nothing else, Markdown, or CSV."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from byola_diff.atomic import write_text
from byola_diff.reports.curve_results import curve_parts
from byola_diff.reports.extras import ReportExtra
from byola_diff.reports.layer_results import gain_parts, layer_parts
from byola_diff.reports.paper_tables import paper_table, read_published
from byola_diff.reports.report import (
    Heading,
    Part,
    Picture,
    Section,
    Table,
    Text,
    render_html,
    render_markdown,
)
from byola_diff.reports.result_tables import SCORES_NOTE, failure_table, summary_tables
from byola_diff.scores.read import Records
from byola_diff.scores.record import ScoreRecord
from byola_diff.scores.task_names import task_order, task_title

TITLE = "byola_diff: results"
COLUMNS = (
    *("protocol", "task", "encoder", "sha256", "base", "layer", "layer_index", "n_layers"),
    *("fusion_layers", "status", "metric", "mean", "ci95", "n_values", "values", "probe"),
    *("deviations", "error", "commit", "finished", "wall_s", "path"),
)
"""Columns of the CSV."""

_HASH_DIGITS = 12
_UNKNOWN = "unknown"


def write_report(records: Records, out: Path, extras: Sequence[ReportExtra] = ()) -> None:
    """Write the page as HTML, whole or not at all, with what runs left to look at and to hear.

    Raises:
        ValueError: If there is no record at all.
        ModuleNotFoundError: If Matplotlib or SciPy is absent; it names the extra.
    """
    sections = _sections(records, extras, pictures=True)
    write_text(out, render_html(TITLE, _lead(records), sections))


def to_markdown(records: Records, extras: Sequence[ReportExtra] = ()) -> str:
    """The tables and words of the page.

    Raises:
        ValueError: If there is no record at all.
    """
    sections = _sections(records, extras, pictures=False)
    return render_markdown(TITLE, _lead(records), sections)


def to_csv(records: Records) -> str:
    """A line per run and metric, nothing rounded, shares in 0..1; a failure has no metric.

    `values`, `probe`, `deviations` and `fusion_layers` are JSON.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for record in (*records.scored, *records.failed):
        common = _common_cells(record)
        for metric, score in record.scores.items():
            figures = {"metric": metric, "mean": score.mean, "ci95": score.ci95}
            values = {"n_values": len(score.values), "values": json.dumps(score.values)}
            writer.writerow(common | figures | values)
        if not record.scores:
            writer.writerow(common)
    return buffer.getvalue()


def _common_cells(record: ScoreRecord) -> dict[str, Any]:
    plain = ("protocol", "task", "base", "status", "error", "commit", "finished", "wall_s", "path")
    common = {name: getattr(record, name) for name in plain}
    common |= {"encoder": record.encoder.name, "sha256": record.encoder.sha256}
    if layer := record.layer:
        common |= {"layer": layer.name, "layer_index": layer.index, "n_layers": layer.of}
    layers = record.fusion.layers if record.fusion else None
    lists = {"fusion_layers": layers, "probe": record.probe, "deviations": record.deviations}
    return common | {name: json.dumps(value) for name, value in lists.items() if value}


def _lead(records: Records) -> str:
    every = (*records.scored, *records.failed)
    if not every:
        raise ValueError(
            "no score records to report; " + (" ".join(records.problems) or "the folder has none")
        )
    n_layers = sum(not record.whole for record in records.scored)
    counts = (
        _count(len(records.scored), "scored run") + f", {n_layers} of them of single layers",
        _count(len({record.encoder.name for record in every}), "encoder") + " (fusions too)",
        _count(len({record.task for record in every}), "task"),
        f"{len(records.failed)} failed",
    )
    return "; ".join(counts) + "."


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


def _sections(records: Records, extras: Sequence[ReportExtra], pictures: bool) -> list[Section]:
    scored, failed = records.scored, records.failed
    parts = [
        ("Summary", _summary(scored, failed)),
        ("The papers' tables with ours beside", _papers(scored)),
        ("Layer by layer", layer_parts(scored, pictures)),
        ("What fusion gains", gain_parts(scored, pictures)),
        ("Curves", curve_parts(scored, pictures)),
        *_extras(extras, pictures),
        ("What failed and why", [failure_table(failed)] if failed else [Text("Nothing failed.")]),
        ("Problems in the records", [Text(problem) for problem in records.problems]),
        ("Where the figures come from", provenance_tables((*scored, *failed))),
    ]
    return [Section(title, content) for title, content in parts if content]


def _summary(scored: Sequence[ScoreRecord], failed: Sequence[ScoreRecord]) -> list[Part]:
    parts: list[Part] = [Text(SCORES_NOTE)]
    for protocol in sorted({record.protocol for record in (*scored, *failed)}):
        ours = [record for record in scored if record.protocol == protocol]
        lost = [record for record in failed if record.protocol == protocol]
        parts += summary_tables(protocol, ours, lost)
    return parts


def _papers(scored: Sequence[ScoreRecord]) -> list[Part]:
    tables = [(published, paper_table(published, scored)) for published in read_published()]
    parts: list[Part] = [table for _, table in tables if table]
    absent = [published.full_title for published, table in tables if not table]
    if absent:
        parts.append(Text(f"Published tables without a score of ours yet: {'; '.join(absent)}."))
    return parts


def _extras(extras: Sequence[ReportExtra], pictures: bool) -> list[tuple[str, list[Part]]]:
    """A section for each that extras name, in the order in which they come."""
    sections: dict[str, list[Part]] = {}
    for extra in extras:
        if pictures or not all(isinstance(part, Picture) for part in extra.parts):
            parts = sections.setdefault(extra.section, [])
            parts += [Heading(extra.title), *extra.parts]
    return list(sections.items())


def provenance_tables(records: Sequence[ScoreRecord]) -> list[Table]:
    """What the scores were made with: each combination, with its records or their tasks.

    What probes chose is shown for each record, but for those of single layers.
    """
    software = [
        [commit, str(len(group)), _span(group), versions]
        for (commit, versions), group in _grouped(records, _software).items()
    ]
    encoders = _grouped(records, lambda r: (r.encoder.name, r.encoder.sha256 or _UNKNOWN))
    settings = _grouped(records, lambda r: (r.protocol, _plain(r.settings)))
    probed = sorted(
        (record for record in records if record.whole and record.probe),
        key=lambda record: (record.protocol, task_order(record.task), record.encoder.name),
    )
    by_encoder = [
        [name, sha256[:_HASH_DIGITS], _tasks(encoders[name, sha256])]
        for name, sha256 in sorted(encoders)
    ]
    by_settings = [
        [protocol, _tasks(settings[protocol, plain]), plain] for protocol, plain in sorted(settings)
    ]
    choices = [[r.encoder.name, r.protocol, task_title(r.task), _plain(r.probe)] for r in probed]
    tables = (
        ("Software", ("commit", "records", "finished", "versions"), {3}, software),
        ("Encoders, by content", ("encoder", "SHA-256", "tasks"), {2}, by_encoder),
        ("Settings", ("protocol", "tasks", "settings"), {1, 2}, by_settings),
        ("Choices of the probes", ("encoder", "protocol", "task", "chosen"), {3}, choices),
    )
    return [
        Table(header, rows, title=title, text_columns=frozenset(words))
        for title, header, words, rows in tables
        if rows
    ]


def _software(record: ScoreRecord) -> tuple[str, str]:
    installed = [f"{name} {version}" for name, version in record.versions.items() if version]
    commit, _, dirty = str(record.commit or _UNKNOWN).partition("-")
    return commit[:_HASH_DIGITS] + (f"-{dirty}" if dirty else ""), ", ".join(installed)


def _span(records: Iterable[ScoreRecord]) -> str:
    days = sorted(record.finished for record in records)
    return days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"


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
