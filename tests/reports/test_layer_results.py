import math

import pytest

from byola_diff.reports.figures import MAX_ENCODERS
from byola_diff.reports.layer_results import (
    fusion_gains,
    gain_figure,
    gain_table,
    layer_figure,
    layer_table,
)
from byola_diff.reports.report import MISSING
from byola_diff.reports.results_page import write_report
from byola_diff.scores import Records
from tests.reports.result_records import fusion, layer, record, records_of_a_report

PNG = b"\x89PNG\r\n\x1a\n"
PARTIAL = ("fold 2: 388, not 400", "classes: 49, not 50")


def test_gain_is_not_taken_between_a_part_and_the_whole():
    records = [
        fusion("vggish", ["1"], values=(0.9,), deviations=PARTIAL),
        layer("1", 1, 2, values=(0.5,), deviations=PARTIAL),
        layer("2", 2, 2, values=(0.6,)),
        record(values=(0.7,)),
    ]
    [gain] = fusion_gains(records)
    assert (gain.best_layer, gain.over_layer.mean) == ("1", pytest.approx(0.4))
    assert gain.over_scene is None


def test_layers_are_in_their_order():
    records = [
        layer("c", 3, 3, values=(0.3,)),
        layer("a", 1, 3, values=(0.1,)),
        layer("b", 2, 3, values=(0.2,), encoder="vggish[b]", base="vggish"),
        layer("a", 1, 3, values=(0.5,), task="us8k"),
    ]
    table = layer_table("evar", records)
    assert [row[0] for row in table.rows] == [f"vggish, layer {name}" for name in "abc"]
    assert table.rows[0] == ["vggish, layer a", "10.0", "50.0"]
    assert table.rows[2] == ["vggish, layer c", "30.0", MISSING]


def test_gain_is_paired_by_seed():
    records = [
        fusion("vggish", ["1", "2"], values=(0.90, 0.80, 0.70)),
        layer("1", 1, 2, values=(0.88, 0.77, 0.66)),  # best: mean 0.77
        layer("2", 2, 2, values=(0.50, 0.50, 0.50)),
        record(values=(0.70, 0.60, 0.50)),
        layer("1", 1, 2, values=(0.99,), encoder="other"),
        record(values=(0.99,), protocol="diff24"),
    ]
    [gain] = fusion_gains(records)
    assert gain.best_layer == "1"
    # Differences 0.02, 0.03, 0.04: mean 0.03, 4.303 * 0.01 / sqrt 3.
    assert gain.over_layer.mean == pytest.approx(0.03)
    assert gain.over_layer.half_width == pytest.approx(4.303 * 0.01 / math.sqrt(3), abs=1e-5)
    assert gain.over_scene.mean == pytest.approx(0.2)
    assert gain.over_scene.half_width == pytest.approx(0, abs=1e-12)
    [row] = gain_table([gain]).rows
    assert row == ["vggish[1,2]", "ESC-50", "3.0 ± 2.5", "1", "20.0 ± 0.0"]


def test_gain_over_other_seeds_has_no_interval():
    [gain] = fusion_gains([fusion("vggish", ["1"], values=(0.9, 0.8)), record(values=(0.6,))])
    assert gain.over_scene == (pytest.approx(0.25), None)
    assert (gain.over_layer, gain.best_layer) == (None, None)


def test_gain_in_an_error_rate_is_its_fall():
    records = [
        fusion("vggish", ["1"], values=(0.5,), metric="segment_1s_er"),
        layer("1", 1, 2, values=(0.7,), metric="segment_1s_er"),
        layer("2", 2, 2, values=(0.9,), metric="segment_1s_er"),
    ]
    [gain] = fusion_gains(records)
    assert (gain.best_layer, gain.over_layer.mean) == ("1", pytest.approx(0.2))


def test_figures_of_layers_and_gains():
    records = records_of_a_report()
    layers = [record for record in records.scored if record.layer]
    assert layer_figure(layers).startswith(PNG)
    deep = [layer(str(n), n + 1, 49, encoder="hubert", values=(0.5, 0.6)) for n in range(49)]
    assert layer_figure([*layers, *deep]).startswith(PNG)
    assert gain_figure(fusion_gains(records.scored)).startswith(PNG)


def test_more_lines_than_can_be_told_apart(tmp_path):
    many = [
        layer("a", 1, 1, encoder=f"encoder {n}", values=(0.5,)) for n in range(MAX_ENCODERS + 1)
    ]
    write_report(Records(tuple(many), (), ()), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count("<img") == 2
