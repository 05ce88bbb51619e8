import html
import re

import pytest
from markupsafe import escape as markup_escape

from byola_diff.reports.published import read_published
from byola_diff.reports.results_page import to_markdown, write_report
from byola_diff.scores import Records
from tests.reports.result_records import EVIL, record, records_of_a_report

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
