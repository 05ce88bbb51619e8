"""The report on score records: one HTML file that needs nothing else, or the same as Markdown."""

from collections.abc import Sequence
from pathlib import Path

from byola_diff.atomic import write_text
from byola_diff.reports.curve_results import curve_parts
from byola_diff.reports.extras import ReportExtra
from byola_diff.reports.layer_results import LayerCurve, fusion_gains, layer_curves
from byola_diff.reports.paper_tables import paper_table
from byola_diff.reports.provenance import (
    encoder_table,
    probe_table,
    settings_table,
    software_table,
)
from byola_diff.reports.published import read_published
from byola_diff.reports.report import (
    Heading,
    Part,
    Picture,
    Section,
    Text,
    render_html,
)
from byola_diff.reports.report_text import render_markdown
from byola_diff.reports.result_tables import (
    SCORES_NOTE,
    failure_table,
    gain_table,
    layer_table,
    summary_tables,
)
from byola_diff.reports.score_figures import few_encoders, gain_figure, layer_figure
from byola_diff.scores.read import Records
from byola_diff.scores.record import ScoreRecord
from byola_diff.scores.task_names import GROUPS, is_share, task_group

TITLE = "byola_diff: results"

_Parts = list[Part]


def write_report(records: Records, out: Path, extras: Sequence[ReportExtra] = ()) -> None:
    """Write the page, whole or not at all.

    Args:
        records: What was measured.
        out: The HTML file.
        extras: What runs left to look at and to listen to.

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
    every = (*scored, *failed)
    parts = [
        ("Summary", _summary(scored, failed)),
        ("The papers' tables with ours beside", _papers(scored)),
        ("Layer by layer", _layers(scored, pictures)),
        ("What fusion gains", _gains(scored, pictures)),
        ("Curves", curve_parts(scored, pictures)),
        *_extras(extras, pictures),
        ("What failed and why", [failure_table(failed)] if failed else [Text("Nothing failed.")]),
        ("Problems in the records", [Text(problem) for problem in records.problems]),
        ("Where the figures come from", _provenance(every)),
    ]
    return [Section(title, content) for title, content in parts if content]


def _summary(scored: Sequence[ScoreRecord], failed: Sequence[ScoreRecord]) -> _Parts:
    parts: _Parts = [Text(SCORES_NOTE)]
    for protocol in sorted({record.protocol for record in (*scored, *failed)}):
        ours = [record for record in scored if record.protocol == protocol]
        lost = [record for record in failed if record.protocol == protocol]
        parts += summary_tables(protocol, ours, lost)
    return parts


def _papers(scored: Sequence[ScoreRecord]) -> _Parts:
    tables = [(published, paper_table(published, scored)) for published in read_published()]
    parts: _Parts = [table for _, table in tables if table]
    absent = [published.full_title for published, table in tables if not table]
    if absent:
        parts.append(Text(f"Published tables without a score of ours yet: {'; '.join(absent)}."))
    return parts


def _layers(scored: Sequence[ScoreRecord], pictures: bool) -> _Parts:
    parts: _Parts = []
    curves = layer_curves(scored)
    for protocol in sorted({curve.protocol for curve in curves}):
        chosen = [curve for curve in curves if curve.protocol == protocol]
        for group in GROUPS if pictures else ():
            drawn = [curve for curve in chosen if task_group(curve.task) == group]
            for few in few_encoders(sorted(curve.encoder for curve in drawn)):
                some = [curve for curve in drawn if curve.encoder in few]
                parts.append(_layer_picture(protocol, group, some))
        parts.append(layer_table(protocol, chosen))
    return parts


def _layer_picture(protocol: str, group: str, curves: Sequence[LayerCurve]) -> Picture:
    names = {curve.encoder: [point.name for point in curve.points] for curve in curves}
    layers = "; ".join(f"{encoder}: {', '.join(points)}" for encoder, points in names.items())
    caption = (
        f"{group.capitalize()}, protocol {protocol}: probes on single layers. Bars are 95 % "
        f"intervals; points are moved sideways a little to keep them apart. Layers of {layers}."
    )
    return Picture(layer_figure(curves), caption)


def _gains(scored: Sequence[ScoreRecord], pictures: bool) -> _Parts:
    gains = [gain for gain in fusion_gains(scored) if gain.over_layer or gain.over_scene]
    if not gains:
        return []
    parts: _Parts = []
    if pictures and any(is_share(gain.metric) for gain in gains):
        caption = (
            "Score of each fusion minus that of the best single layer, and minus that of the plain "
            "scene embedding of the same encoder. Vertical lines are 95 % intervals."
        )
        parts.append(Picture(gain_figure(gains), caption))
    return [*parts, gain_table(gains)]


def _extras(extras: Sequence[ReportExtra], pictures: bool) -> list[tuple[str, _Parts]]:
    """A section for each that extras name, in the order in which they come."""
    sections: dict[str, _Parts] = {}
    for extra in extras:
        if pictures or not all(isinstance(part, Picture) for part in extra.parts):
            parts = sections.setdefault(extra.section, [])
            parts += [Heading(extra.title), *extra.parts]
    return list(sections.items())


def _provenance(records: Sequence[ScoreRecord]) -> _Parts:
    tables = (software_table, encoder_table, settings_table, probe_table)
    return [table for make in tables if (table := make(records))]
