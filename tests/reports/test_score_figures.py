import pytest

from byola_diff.reports.layer_results import fusion_gains, layer_curves
from byola_diff.reports.results_page import write_report
from byola_diff.reports.score_figures import MAX_ENCODERS, gain_figure, layer_figure
from byola_diff.scores import Records
from tests.reports.result_records import layer, records_of_a_report

PNG = b"\x89PNG\r\n\x1a\n"


def test_figures_of_layers_and_gains():
    records = records_of_a_report()
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
