import csv
import html
import io
import json
import re

import pytest
from markupsafe import escape as markup_escape

from byola_diff.reports.paper_tables import read_published
from byola_diff.reports.results_page import (
    COLUMNS,
    provenance_tables,
    to_csv,
    to_markdown,
    write_report,
)
from byola_diff.scores import Records
from tests.reports.result_records import EVIL, record, records_of_a_report, score

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def records():
    return records_of_a_report()


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


def test_csv_parses_back():
    records = records_of_a_report()
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


def test_provenance_groups_what_is_alike():
    records = [
        record("us8k", finished="2026-01-02T00:00:00Z"),
        record("esc50"),
        record("esc50", "ast", sha256=None, commit=None, settings={}),
    ]
    software, encoders, settings = provenance_tables(records)
    rows = software.rows
    span = "2026-01-01T00:00:00Z to 2026-01-02T00:00:00Z"
    assert rows[0] == ["0123456789ab-dirty", "2", span, "torch 2.14.1"]
    assert rows[1][:2] == ["unknown", "1"]
    assert encoders.rows == [
        ["ast", "unknown", "ESC-50"],
        ["vggish", "ab" * 6, "ESC-50, US8K"],
    ]
    assert settings.rows == [
        ["evar", "ESC-50, US8K", "batch_size: 200"],
        ["evar", "ESC-50", "none"],
    ]
