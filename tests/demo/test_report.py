import re

import pytest

from byola_diff.demo.encoders import COMPARED, CONTINUED, LARGE, MEAN_POWER, UNTRAINED_LARGE
from byola_diff.demo.expectations import expectations
from byola_diff.demo.measures import METRICS
from byola_diff.demo.report import Sizes, demo_report, number
from byola_diff.reports.report import Picture, Text
from byola_diff.scores import Interval, Score, student_interval

SIZES = Sizes(draws=2, clips=80, labels=8, events=100, items=40, steps=7, seed=3)
SOURCES = {"events": "bells", "backgrounds": "rivers", "training": "trains"}
PNG = Picture(b"\x89PNG\r\n\x1a\n", "a picture")


def score(*values):
    named = {f"draw {number}": value for number, value in enumerate(values)}
    return Score(named, *student_interval(list(values)))


@pytest.fixture
def scores():
    metrics = [metric for names in METRICS.values() for metric in names]
    row = {metric: score(0.5, 0.6) for metric in metrics}
    return {name: dict(row) for name in (*(each.name for each in COMPARED), CONTINUED)}


def without_continued(scores):
    return {name: row for name, row in scores.items() if name != CONTINUED}


def page(scores):
    return demo_report(scores, SIZES, [Text("to hear")], PNG, [PNG], SOURCES)


def rows(text):
    """Cells of all tables."""
    return [re.findall(r"<td[^>]*>(.*?)</td>", line) for line in re.findall(r"<tr.*?</tr>", text)]


@pytest.mark.parametrize(
    ("metric", "value", "signed", "expected"),
    [
        ("accuracy", Interval(0.1234, 0.05), False, "12.3 ± 5.0"),
        ("cosine", Interval(0.1234, 0.0567), False, "0.123 ± 0.057"),
        ("recall@1", Interval(0.25, None), True, "+25.0"),
        ("a", Interval(-0.25, 0.1), True, "-25.0 ± 10.0"),
    ],
)
def test_number(metric, value, signed, expected):
    assert number(metric, value, signed) == expected


def test_every_figure_is_on_the_page(scores):
    pytest.importorskip("jinja2")
    scores[LARGE]["accuracy"] = score(0.9, 0.9)
    scores[UNTRAINED_LARGE]["b"] = score(0.7, 0.8)
    found = rows(page(scores))
    [naming, known] = [row for row in found if row[:1] == [LARGE] and len(row) == 5]
    assert naming[1:3] == ["90.0 ± 0.0", "0.550 ± 0.635"]
    assert known[1] == "55.0 ± 63.5"
    assert [row[3] for row in found if row[:1] == [UNTRAINED_LARGE] and len(row) == 5][
        1
    ] == "75.0 ± 63.5"
    assert '<td class="best">90.0 ± 0.0</td>' in page(scores)


def test_words_are_made_from_the_figures(scores):
    pytest.importorskip("jinja2")
    scores[MEAN_POWER]["cosine"] = score(0.9, 1.0)
    scores[CONTINUED]["accuracy"] = score(0.6, 0.7)
    scores[CONTINUED]["cosine"] = score(0.3, 0.4)
    text = page(scores)
    n_expected = len(expectations(without_continued(scores)))
    assert f"Of {n_expected} expectations, 1 came out as expected, {n_expected - 1} can" in text
    assert "1 higher, 1 lower, 6 can" in text
    assert "(cosine 0.950, byola-diff 0.550)" in text
    scores[MEAN_POWER]["cosine"] = score(0.2, 0.3)
    other_way = f"Of {n_expected} expectations, 1 came out the other way round"
    assert other_way in page(scores)


def test_what_was_measured_is_said(scores):
    pytest.importorskip("jinja2")
    text = page(scores)
    for words in (
        f"{len(COMPARED)} encoders",
        "(events: bells; backgrounds: rivers)",
        "for 7 steps more, on trains",
        "80 clips, 8 labels, chance 12.5%",
        "of 100 events (chance 1.0% and 5.0%); 2 draws",
        "40 items in 2 draws",
        "Seed 3.",
    ):
        assert words in text, words
    assert all(source.startswith("data:") for source in re.findall(r'src="([^"]*)"', text))
