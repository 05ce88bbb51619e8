import csv
import html
import io
import json
import re

import pytest
from markupsafe import escape as markup_escape

from byola_diff.reports.layer_results import fusion_gains, layer_curves
from byola_diff.reports.published import read_published
from byola_diff.reports.report import Picture, Section, Table, Text
from byola_diff.reports.report_text import render_markdown
from byola_diff.reports.results_csv import COLUMNS, to_csv
from byola_diff.reports.results_page import to_markdown, write_report
from byola_diff.reports.score_figures import MAX_ENCODERS, gain_figure, layer_figure
from byola_diff.scores import Records
from tests.reports.result_records import fusion, layer, record, score

PNG = b"\x89PNG\r\n\x1a\n"
EVIL = "<script>alert('1')</script>|`x`"


@pytest.fixture(scope="module")
def records():
    scored = [
        record(),
        record("us8k", EVIL, (0.7,), probe={"learning_rate": 1e-3}),
        *(layer(name, place, 3, values=(place / 4,)) for place, name in enumerate("abc", start=1)),
        fusion("vggish", ["a", "c"], values=(0.86, 0.87, 0.88)),
    ]
    failed = [record("gtzan", "ast", error="OutOfMemoryError: no <memory>\nleft")]
    return Records(tuple(scored), tuple(failed), ("runs/x.json left out: broken & foreign",))


@pytest.fixture(scope="module")
def page(records, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "new" / "report.html"
    write_report(records, path)
    return path.read_text(encoding="utf-8")


def text_of(page):
    return html.unescape(re.sub(r"<[^>]+>", "\n", page))


def test_page_needs_nothing_else_and_escapes_everything(page):
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    assert all(source.startswith("data:") for source in re.findall(r'src="([^"]*)"', page))
    assert markup_escape(EVIL) in page
    assert "no &lt;memory&gt;" in page


def test_page_has_every_part(page):
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles == [
        "Summary",
        "The papers&#39; tables with ours beside",
        "Layer by layer",
        "What fusion gains",
        "What failed and why",
        "Problems in the records",
        "Where the figures come from",
    ]
    text = text_of(page)
    for words in (
        "6 scored runs, 3 of them of single layers",
        "82.0 ± 5.0",
        "OutOfMemoryError: no <memory>",
        "runs/x.json left out: broken & foreign",
        "0123456789ab-dirty",
        "torch 2.14.1",
        "batch_size: 200",
        "learning_rate: 0.001",
        "abababababab",
        "86.5",  # Table III, VGGish-Fusion#10#15
        "1 failed",
    ):
        assert words in text
    assert page.count("<img") == 2


def test_ours_and_theirs_are_told_apart(page):
    rows = re.findall(r"<tr class=marked>(.*?)</tr>", page)
    assert rows
    assert all("ours, evar" in row for row in rows)
    assert page.count("ours, evar") == len(rows)


def test_wide_tables_scroll_by_themselves(page):
    assert page.count("<table>") == page.count('<div class="scroll')
    assert '<div class="scroll wide">' in page


def test_page_of_one_task_and_one_encoder(tmp_path):
    one = Records((record("my own", "mine", (0.814,)),), (), ())
    write_report(one, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "81.4" in page
    assert "Nothing failed." in page
    assert re.findall(r"<h2>(.*?)</h2>", page) == [
        "Summary",
        "The papers&#39; tables with ours beside",
        "What failed and why",
        "Where the figures come from",
    ]
    assert "1 scored run," in page
    assert "<img" not in page


def test_published_tables_that_nothing_fits_are_listed(records, page):
    titles = [f"{t.paper}, {t.table}: {t.title}" for t in read_published()]
    [listed] = re.findall(r"Published tables without a score of ours yet: (.*)\.\n", text_of(page))
    shown = re.findall(r"<h3>(.*?)</h3>", page)
    absent = listed.split("; ")
    assert [title for title in titles if markup_escape(title) not in shown] == absent
    assert 0 < len(absent) < len(titles)
    one = to_markdown(Records((record("my own"),), (), ()))
    assert f"yet: {'; '.join(titles)}." in one


def test_page_of_failures_only(tmp_path):
    lost = Records((), (record(error="no memory"),), ())
    write_report(lost, tmp_path / "report.html")
    text = text_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "failed" in text
    assert "no memory" in text


def test_no_records_are_refused_with_the_reason(tmp_path):
    nothing = Records((), (), ("half.json left out: broken",))
    for make in (to_markdown, lambda records: write_report(records, tmp_path / "report.html")):
        with pytest.raises(ValueError, match=r"no score records.*half\.json left out"):
            make(nothing)
    assert not list(tmp_path.iterdir())


def test_csv_parses_back(records):
    rows = list(csv.DictReader(io.StringIO(to_csv(records))))
    assert len(rows) == 7
    assert tuple(rows[0]) == COLUMNS
    first = rows[0]
    assert float(first["mean"]) == records.scored[0].scores["accuracy"].mean
    assert json.loads(first["values"]) == {"seed 42": 0.8, "seed 43": 0.82, "seed 44": 0.84}
    assert (first["status"], first["n_values"], first["layer"]) == ("ok", "3", "")
    assert rows[1]["encoder"] == EVIL
    assert json.loads(rows[1]["probe"]) == {"learning_rate": 0.001}
    assert rows[1]["ci95"] == ""
    assert [(row["layer"], row["layer_index"], row["n_layers"]) for row in rows[2:5]] == [
        *(("a", "1", "3"), ("b", "2", "3"), ("c", "3", "3")),
    ]
    assert (rows[5]["base"], json.loads(rows[5]["fusion_layers"])) == ("vggish", ["a", "c"])
    assert rows[6]["error"] == "OutOfMemoryError: no <memory>\nleft"
    assert (rows[6]["status"], rows[6]["metric"], rows[6]["mean"]) == ("failed", "", "")


def test_csv_tells_deviations():
    partial = Records((record(deviations=("test: 1, not 2",)), record("us8k")), (), ())
    rows = list(csv.DictReader(io.StringIO(to_csv(partial))))
    assert json.loads(rows[0]["deviations"]) == ["test: 1, not 2"]
    assert rows[1]["deviations"] == ""


def test_csv_has_a_line_per_metric():
    two = record(scores={"mAP": score(0.5), "d_prime": score(1.5)})
    rows = list(csv.DictReader(io.StringIO(to_csv(Records((two,), (), ())))))
    assert [(row["metric"], float(row["mean"])) for row in rows] == [("mAP", 0.5), ("d_prime", 1.5)]


def test_markdown_is_aligned_and_holds_the_tables(records):
    text = to_markdown(records)
    blocks = re.findall(r"(?:^\|.*\|\n)+", text, flags=re.MULTILINE)
    assert len(blocks) > 6
    for block in blocks:
        lines = block.splitlines()
        assert len({len(line) for line in lines}) == 1
        bars = [[m.start() for m in re.finditer(r"(?<!\\)\|", line)] for line in lines]
        assert all(places == bars[0] for places in bars)
    assert "| VGGish-Fusion#10#15 " in text
    assert "\\<script>alert('1')\\</script>\\|\\`x\\`" in text
    assert "no \\<memory> left" in text


def test_markdown_of_a_small_table():
    table = Table(("name", "score"), [["a", "1"], ["bc", "2.5"]], frozenset({(1, 1)}), "note")
    sections = [Section("S", [table, Text("*words*")]), Section("P", [Picture(PNG, "picture")])]
    expected = [
        *("# T", "", "lead", "", "## S", ""),
        "| name |   score |",
        "| ---- | ------: |",
        "| a    |       1 |",
        "| bc   | **2.5** |",
        *("", "note", "", r"\*words\*", "", "foot"),
    ]
    assert render_markdown("T", "lead", sections, "foot").splitlines() == expected


def test_figures_of_layers_and_gains(records):
    assert layer_figure(layer_curves(records.scored)).startswith(PNG)
    deep = [layer(str(n), n + 1, 49, encoder="hubert", values=(0.5, 0.6)) for n in range(49)]
    assert layer_figure(layer_curves([*records.scored, *deep])).startswith(PNG)
    assert gain_figure(fusion_gains(records.scored)).startswith(PNG)


def test_more_lines_than_can_be_told_apart(tmp_path):
    many = [
        layer("a", 1, 1, encoder=f"encoder {n}", values=(0.5,)) for n in range(MAX_ENCODERS + 1)
    ]
    with pytest.raises(ValueError, match="9 encoders in one figure"):
        layer_figure(layer_curves(many))
    write_report(Records(tuple(many), (), ()), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count("<img") == 2
