from dataclasses import replace

import pytest

from byola_diff.reports.curve_results import ADDITIVITY_NOTE, curve_parts
from byola_diff.reports.figures import MAX_ENCODERS
from byola_diff.reports.report import MISSING, Picture, Table, Text
from byola_diff.reports.result_tables import MARK
from byola_diff.scores import Curve
from tests.reports.result_records import record

PNG = b"\x89PNG\r\n\x1a\n"


def curve(*heights, chance=None):
    values = {
        x: {"seed 0": height, "seed 1": height + 0.1}
        for x, height in zip(("-10", "0", "10"), heights, strict=True)
    }
    return Curve("SNR (dB)", values, chance or {})


def measured(encoder, *heights, **changes):
    curves = {"recall@1": curve(*heights, chance=dict.fromkeys(("-10", "0", "10"), 0.005))}
    about = {"protocol": "additivity", "metric": "recall@1", "curves": curves}
    return record("procedural", encoder, **about, **changes)


def test_parts_hold_the_note_and_a_table():
    parts = curve_parts([measured("b", 0.1, 0.2, 0.3), measured("a", 0.4, 0.5, 0.6)], False)
    assert parts[0] == Text(ADDITIVITY_NOTE)
    [table] = [part for part in parts if isinstance(part, Table)]
    assert table.title == "Recall@1, procedural"
    assert tuple(table.header) == ("SNR (dB)", "-10", "0", "10")
    assert [row[0] for row in table.rows] == ["a", "b", "chance"]
    # Mean of 0.4 and 0.5; the interval of two values 0.1 apart is 12.706 * 0.05.
    assert table.rows[0][1] == "45.0 ± 63.5"
    assert table.rows[2][1:] == ["0.5", "0.5", "0.5"]


def test_marks_and_points_that_are_lacking():
    few = measured("few", 0.1, 0.2, 0.3, deviations=("events: 20",))
    short = replace(few.curves["recall@1"], values={"0": {"seed 0": 0.2}})
    few = few.model_copy(update={"curves": {"recall@1": short}})
    parts = curve_parts([few, measured("a", 0.0, 0.0, 0.0)], False)
    [table] = [part for part in parts if isinstance(part, Table)]
    assert table.rows[1] == ["few", MISSING, f"20.0{MARK}", MISSING]
    assert "few" in table.note
    assert "events: 20" in table.note


def test_nothing_without_curves():
    assert curve_parts([record()], True) == []
    layer = measured("a", 0.0, 0.0, 0.0, layer={"name": "x", "index": 1, "of": 1})
    assert curve_parts([layer], True) == []


def test_pictures_are_as_many_as_lines_can_be_told_apart():
    pytest.importorskip("matplotlib")
    many = [measured(f"encoder {number}", 0.1, 0.2, 0.3) for number in range(MAX_ENCODERS + 1)]
    pictures = [part for part in curve_parts(many, True) if isinstance(part, Picture)]
    assert len(pictures) == 2
    assert all(picture.png.startswith(PNG) and len(picture.png) > 5000 for picture in pictures)
    assert "Grey: chance" in pictures[0].caption


def test_figure_of_a_single_point():
    pytest.importorskip("matplotlib")
    single = Curve("SNR (dB)", {"0": {"seed 0": 0.5}})
    one = measured("a", 0.0, 0.0, 0.0).model_copy(update={"curves": {"cosine": single}})
    [picture] = [part for part in curve_parts([one], True) if isinstance(part, Picture)]
    assert picture.png.startswith(PNG)
