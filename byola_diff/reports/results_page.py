"""The report on score records: one HTML file that needs nothing else, or the same as Markdown."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from byola_diff.atomic import write_text
from byola_diff.reports.curve_results import curve_parts
from byola_diff.reports.exhibits import Exhibit
from byola_diff.reports.layer_results import LayerCurve, fusion_gains, layer_curves
from byola_diff.reports.paper_tables import paper_table, published_title
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
from byola_diff.reports.report_markdown import render_markdown
from byola_diff.reports.result_figures import MAX_CURVES, gain_figure, layer_figure
from byola_diff.reports.result_tables import (
    SCORES_NOTE,
    failure_table,
    gain_table,
    layer_table,
    summary_tables,
)
from byola_diff.scores.read import Record, Records
from byola_diff.scores.task_names import GROUPS, is_share, task_group

TITLE = "byola_diff: results"

_Parts = list[Part]


def write_report(records: Records, out: Path, exhibits: Sequence[Exhibit] = ()) -> None:
    """Write the page, whole or not at all.

    Args:
        records: What was measured.
        out: The HTML file.
        exhibits: What runs left to look at and to listen to.

    Raises:
        ValueError: If there is no record at all.
        ModuleNotFoundError: If Matplotlib or SciPy is absent; it names the extra.
    """
    sections = _sections(records, exhibits, pictures=True)
    write_text(out, render_html(TITLE, _lead(records), sections))


def to_markdown(records: Records, exhibits: Sequence[Exhibit] = ()) -> str:
    """The tables and words of the page.

    Raises:
        ValueError: If there is no record at all.
    """
    sections = _sections(records, exhibits, pictures=False)
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
        _count(len({record.encoder for record in every}), "encoder") + " (fusions too)",
        _count(len({record.task for record in every}), "task"),
        f"{len(records.failed)} failed",
    )
    return "; ".join(counts) + "."


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


def _sections(records: Records, exhibits: Sequence[Exhibit], pictures: bool) -> list[Section]:
    scored, failed = records.scored, records.failed
    every = (*scored, *failed)
    parts = [
        ("Summary", _summary(scored, failed)),
        ("The papers' tables with ours beside", _papers(scored)),
        ("Layer by layer", _layers(scored, pictures)),
        ("What fusion gains", _gains(scored, pictures)),
        ("Curves", curve_parts(scored, pictures)),
        *_exhibited(exhibits, pictures),
        ("What failed and why", [failure_table(failed)] if failed else [Text("Nothing failed.")]),
        ("Problems in the records", [Text(problem) for problem in records.problems]),
        ("Where the figures come from", _provenance(every)),
    ]
    return [Section(title, content) for title, content in parts if content]


def _summary(scored: Sequence[Record], failed: Sequence[Record]) -> _Parts:
    parts: _Parts = [Text(SCORES_NOTE)]
    for protocol in sorted({record.protocol for record in (*scored, *failed)}):
        ours = [record for record in scored if record.protocol == protocol]
        lost = [record for record in failed if record.protocol == protocol]
        parts += summary_tables(protocol, ours, lost)
    return parts


def _papers(scored: Sequence[Record]) -> _Parts:
    parts: _Parts = []
    absent = []
    for published in read_published():
        table = paper_table(published, scored)
        if table:
            parts.append(table)
        else:
            absent.append(published_title(published))
    if absent:
        parts.append(Text(f"Published tables without a score of ours yet: {'; '.join(absent)}."))
    return parts


def _layers(scored: Sequence[Record], pictures: bool) -> _Parts:
    parts: _Parts = []
    curves = layer_curves(scored)
    for protocol in sorted({curve.protocol for curve in curves}):
        chosen = [curve for curve in curves if curve.protocol == protocol]
        if pictures:
            parts += [
                _layer_picture(protocol, group, few)
                for group in GROUPS
                for few in _by_encoders([c for c in chosen if task_group(c.task) == group])
            ]
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


def _by_encoders(curves: Sequence[LayerCurve]) -> Iterable[list[LayerCurve]]:
    """As many figures as it takes to tell the lines apart."""
    encoders = sorted({curve.encoder for curve in curves})
    for start in range(0, len(encoders), MAX_CURVES):
        few = encoders[start : start + MAX_CURVES]
        yield [curve for curve in curves if curve.encoder in few]


def _gains(scored: Sequence[Record], pictures: bool) -> _Parts:
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


def _exhibited(exhibits: Sequence[Exhibit], pictures: bool) -> list[tuple[str, _Parts]]:
    """A section for each that exhibits name, in the order in which they come."""
    sections: dict[str, _Parts] = {}
    for exhibit in exhibits:
        if pictures or not all(isinstance(part, Picture) for part in exhibit.parts):
            parts = sections.setdefault(exhibit.section, [])
            parts += [Heading(exhibit.title), *exhibit.parts]
    return list(sections.items())


def _provenance(records: Sequence[Record]) -> _Parts:
    tables = (software_table, encoder_table, settings_table, probe_table)
    return [table for make in tables if (table := make(records))]
