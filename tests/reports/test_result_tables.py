from byola_diff.reports.layer_results import layer_table
from byola_diff.reports.report import MISSING
from byola_diff.reports.result_tables import failure_table, score_text, summary_tables
from byola_diff.scores import Interval
from tests.reports.result_records import fusion, layer, record, score

NINE = ["esc50", "us8k", "spcv2", "vc1", "voxforge", "cremad", "gtzan", "nsynth", "surge"]


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
        "†: not measured as published. ESC-50 (vggish): fold 2: 388, not 400; classes: 49, not 50. "
        "CRM-D: split: our own, seed 0."
    )
    # A part of a task is no competitor of the whole.
    assert table.bold == {(0, 2)}


def test_whole_tasks_have_no_mark_and_no_note():
    [table] = summary_tables("evar", [record()], [])
    assert (table.rows, table.note) == ([["vggish", "82.0 ± 5.0"]], "")
    assert layer_table("evar", [layer("1", 1, 1)]).note == ""


def test_layers_on_part_of_a_task_are_marked():
    table = layer_table("evar", [layer("1", 1, 1, values=(0.5,), deviations=PARTIAL)])
    assert table.rows == [["vggish, layer 1", "50.0†"]]
    assert table.note.startswith("†: not measured as published. ESC-50: fold 2")


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
