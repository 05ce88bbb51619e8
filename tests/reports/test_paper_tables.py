from byola_diff.reports.paper_tables import paper_table
from byola_diff.reports.published import MISSING, read_published
from tests.reports.result_records import layer, record, score

NINE = ["esc50", "us8k", "spcv2", "vc1", "voxforge", "cremad", "gtzan", "nsynth", "surge"]
PARTIAL = ("fold 2: 388, not 400", "classes: 49, not 50")


def published(number):
    [table] = [table for table in read_published() if table.table == number]
    return table


def column(table, title):
    place = list(table.header).index(title)
    return [row[place] for row in table.rows]


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
