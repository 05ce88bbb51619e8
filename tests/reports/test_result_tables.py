import math

import pytest

from byola_diff.reports.layer_results import fusion_gains, layer_curves
from byola_diff.reports.paper_tables import paper_table
from byola_diff.reports.provenance import encoder_table, settings_table, software_table
from byola_diff.reports.published import MISSING, read_published
from byola_diff.reports.result_tables import (
    failure_table,
    gain_table,
    layer_table,
    score_text,
    summary_tables,
)
from byola_diff.scores import Interval
from tests.reports.result_records import fusion, layer, record, score

NINE = ["esc50", "us8k", "spcv2", "vc1", "voxforge", "cremad", "gtzan", "nsynth", "surge"]


def published(number):
    [table] = [table for table in read_published() if table.table == number]
    return table


def column(table, title):
    place = list(table.header).index(title)
    return [row[place] for row in table.rows]


def test_cell_is_the_interval_worked_out_by_hand():
    # 0.80, 0.82, 0.84: s = 0.02, 4.303 * 0.02 / sqrt 3 = 0.04969.
    assert score_text("accuracy", score(0.80, 0.82, 0.84).interval) == "82.0 ± 5.0"
    assert score_text("accuracy", score(0.8149).interval) == "81.5"
    assert score_text("cosine", score(0.5, 0.5).interval) == "0.500 ± 0.000"
    assert score_text("accuracy", Interval(-0.0004, None)) == "0.0"


def test_summary_has_encoders_by_tasks_in_the_papers_order():
    records = [
        record("surge", values=(0.4,)),
        record("my own", values=(0.1,)),
        record("esc50", values=(0.80, 0.82, 0.84)),
        record("esc50", "ast", values=(0.9,)),
        fusion("vggish", ["10", "15"], values=(0.85,)),
        layer("10", 4, 9, values=(0.99,)),
    ]
    [table] = summary_tables("evar", records, [])
    assert list(table.header) == ["encoder", "ESC-50", "Surge", "my own", "average"]
    assert table.rows == [
        ["ast", "90.0", MISSING, MISSING, MISSING],
        ["vggish", "82.0 ± 5.0", "40.0", "10.0", "44.0"],
        ["vggish[10,15]", "85.0", MISSING, MISSING, MISSING],
    ]
    assert table.bold == {(0, 1)}  # alone in a column is not the best of it


PARTIAL = ("fold 2: 388, not 400", "classes: 49, not 50")


def test_scores_on_part_of_a_task_are_marked_with_the_reason():
    records = [
        record("esc50", values=(0.80, 0.82, 0.84), deviations=PARTIAL),
        record("esc50", "ast", values=(0.7,)),
        record("cremad", values=(0.5,), deviations=("split: our own, seed 0",)),
        record("cremad", "ast", values=(0.6,), deviations=("split: our own, seed 0",)),
        layer("10", 4, 9, values=(0.99,), deviations=("not shown",)),
    ]
    [table] = summary_tables("evar", records, [])
    assert table.rows == [
        ["ast", "70.0", "60.0†", "65.0†"],
        ["vggish", "82.0 ± 5.0†", "50.0†", "66.0†"],
    ]
    assert table.note == (
        "†: not the task as published. ESC-50 (vggish): fold 2: 388, not 400; classes: 49, not 50. "
        "CRM-D: split: our own, seed 0."
    )
    # A part of a task is no competitor of the whole.
    assert table.bold == {(0, 2)}


def test_whole_tasks_have_no_mark_and_no_note():
    [table] = summary_tables("evar", [record()], [])
    assert (table.rows, table.note) == ([["vggish", "82.0 ± 5.0"]], "")
    assert layer_table("evar", layer_curves([layer("1", 1, 1)])).note == ""


def test_our_scores_on_part_of_a_task_are_marked_beside_the_papers():
    records = [record(task, values=(0.5,)) for task in NINE[1:]]
    records.append(record("esc50", values=(0.80, 0.82, 0.84), deviations=PARTIAL))
    records.append(record("fsd50k", deviations=("no column of this table",)))
    table = paper_table(published("Table III"), records)
    assert table.rows[-1][2:4] == ["82.0 ± 5.0†", "50.0"]
    assert table.rows[-1][-1] == "53.6†"
    assert not any("†" in cell for row in table.rows[:-1] for cell in row)
    assert table.note.endswith(
        " †: not the task as published. ESC-50: fold 2: 388, not 400; classes: 49, not 50."
    )
    assert "†" not in paper_table(published("Table III"), [record()]).note


def test_layers_on_part_of_a_task_are_marked():
    curves = layer_curves([layer("1", 1, 1, values=(0.5,), deviations=PARTIAL)])
    table = layer_table("evar", curves)
    assert table.rows == [["vggish, layer 1", "50.0†"]]
    assert table.note.startswith("†: not the task as published. ESC-50: fold 2")


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


def test_metrics_of_one_task_stand_side_by_side_in_their_order():
    scores = {"recall@5": score(0.6), "recall@10": score(0.7)}
    [table] = summary_tables("retrieval", [record("apwd_rain", scores=scores)], [])
    assert list(table.header) == ["encoder", "APwD rain\nrecall@5", "APwD rain\nrecall@10"]
    assert table.rows == [["vggish", "60.0", "70.0"]]


def test_too_many_metrics_make_two_tables():
    scores = {"mAP": score(0.6), "d_prime": score(1.5), "aucroc": score(0.9)}
    records = [record(f"task {number}", scores=scores) for number in range(5)]
    main, other = summary_tables("hear", records, [])
    assert main.rows == [["vggish", *["60.0"] * 5]]
    assert other.rows == [["vggish", *["1.500", "90.0"] * 5]]


def test_lowest_error_rate_is_best():
    rows = [
        record("dcase2016_task2-hear2021-full", name, (value,), "segment_1s_er")
        for name, value in (("a", 1.2), ("b", 0.3))
    ]
    [table] = summary_tables("hear", rows, [])
    assert table.bold == {(1, 1)}
    assert [row[1] for row in table.rows] == ["1.200", "0.300"]


def test_failures_are_in_the_summary_and_told():
    lost = record("us8k", "ast", error="out of memory")
    [table] = summary_tables("evar", [record("esc50")], [lost])
    assert table.rows == [
        ["ast", MISSING, "failed", MISSING],
        ["vggish", "82.0 ± 5.0", MISSING, MISSING],
    ]
    [row] = failure_table([lost]).rows
    assert row == ["ast", "evar", "US8K", "out of memory", "2026-01-01T00:00:00Z"]


def test_paper_rows_come_first_as_printed_then_ours_marked():
    records = [record(task, values=(0.5 + number / 100,)) for number, task in enumerate(NINE)]
    records += [record("esc50", "mine", (0.7,), protocol="diff24"), record("fsd50k", "other")]
    records.append(layer("10", 4, 9, values=(0.99,)))
    table = paper_table(published("Table III"), records)
    assert list(table.header[2:]) == [
        *("ESC-50", "US8K", "SPCV2", "VC1", "VF", "CRM-D", "GTZAN", "NSynth", "Surge", "Avg"),
    ]
    assert table.rows[0][:4] == ["VGGish", "paper", "68.2", "75.1"]
    assert table.rows[0][-1] == "47.2"
    assert table.marked == {6, 7}
    assert table.rows[6] == ["mine", "ours, diff24 (not evar)", "70.0", *[MISSING] * 9]
    # Means of 0.50 to 0.58.
    assert table.rows[7] == ["vggish", "ours, evar", *(f"{50 + n}.0" for n in range(9)), "54.0"]


def test_paper_prints_its_intervals():
    table = paper_table(published("Table 3"), [record()])
    assert column(table, "ESC-50")[0] == "82.70 ± 1.76"
    assert column(table, "ESC-50")[-1] == "82.0 ± 5.0"
    assert column(table, "Avg")[0] == "71.95"


def test_table_that_no_record_fits_is_left_out():
    assert paper_table(published("Table III"), [record("my own")]) is None
    assert paper_table(published("Table III"), [record("esc50", metric="mAP")]) is None
    assert paper_table(published("Table III"), [layer("10", 1, 2)]) is None


def test_tables_of_several_metrics_are_filled():
    scores = {"mix": score(0.47), "a": score(0.55), "b": score(0.52), "c": score(0.48)}
    row = paper_table(
        published("Table 1"), [record("bgknown", protocol="bgknown", scores=scores)]
    ).rows[-1]
    assert row == ["vggish", "ours, bgknown", "47.0", "55.0", "52.0", "48.0"]
    recalls = {f"R@{k}": score(k / 100) for k in (1, 5, 10)}
    row = paper_table(
        published("Table 2"), [record("apwd_traffic", protocol="retrieval", scores=recalls)]
    ).rows[-1]
    assert row == ["vggish", "ours, retrieval", MISSING, MISSING, MISSING, "1.0", "5.0", "10.0"]


def test_hear_names_of_metrics_fit():
    [table] = [table for table in read_published() if table.protocol == "hear"]
    scores = {"top1_acc": score(0.9), "mAP": score(0.8)}
    ours = record("beijing_opera-v1.0-hear2021-full", protocol="hear", scores=scores)
    assert paper_table(table, [ours]).rows[-1][2] == "90.0"


def test_curves_have_their_points_in_order():
    records = [
        layer("c", 3, 3, values=(0.3,)),
        layer("a", 1, 3, values=(0.1,)),
        layer("b", 2, 3, values=(0.2,), encoder="vggish[b]", base="vggish"),
        layer("a", 1, 3, values=(0.5,), task="us8k"),
        record(),
    ]
    curves = layer_curves(records)
    assert [(curve.task, curve.encoder) for curve in curves] == [
        ("esc50", "vggish"),
        ("us8k", "vggish"),
    ]
    assert [(point.name, point.score.mean) for point in curves[0].points] == [
        *(("a", 0.1), ("b", 0.2), ("c", 0.3)),
    ]
    table = layer_table("evar", curves)
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


def test_provenance_groups_what_is_alike():
    records = [
        record("us8k", finished="2026-01-02T00:00:00Z"),
        record("esc50"),
        record("esc50", "ast", sha256=None, commit=None, settings={}),
    ]
    rows = software_table(records).rows
    span = "2026-01-01T00:00:00Z to 2026-01-02T00:00:00Z"
    assert rows[0] == ["0123456789ab-dirty", "2", span, "torch 2.14.1"]
    assert rows[1][:2] == ["unknown", "1"]
    assert encoder_table(records).rows == [
        ["ast", "unknown", "ESC-50"],
        ["vggish", "ab" * 6, "ESC-50, US8K"],
    ]
    assert settings_table(records).rows == [
        ["evar", "ESC-50, US8K", "batch_size: 200"],
        ["evar", "ESC-50", "none"],
    ]
