import pytest
import yaml

from byola_diff.reports.paper_tables import PublishedTable, paper_table, read_published
from byola_diff.reports.report import MISSING
from byola_diff.scores.task_names import metric_name, task_group, task_title
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
        " †: not measured as published. ESC-50: fold 2: 388, not 400; classes: 49, not 50."
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


TITLES = ["ESC-50", "US8K", "SPCV2", "VC1", "VF", "CRM-D", "GTZAN", "NSynth", "Surge"]


@pytest.fixture(scope="module")
def tables():
    return {(table.paper, table.table): table for table in read_published()}


def percent(figure):
    return float(figure.split()[0])


def cell(table, row, column):
    [found] = [candidate for candidate in table.rows if candidate.name == row]
    titles = [candidate.title for candidate in table.columns]
    return found.figures[titles.index(column)]


@pytest.mark.parametrize(
    ("place", "row", "column", "printed", "interval"),
    [
        (("Takeuchi et al., 2024", "Table 1"), "difference weight 0.8", "(a) 100 %", "59.96", None),
        (
            ("Takeuchi et al., 2024", "Table 1"),
            "difference weight 0 (BYOL-A)",
            "Mix",
            "47.25",
            None,
        ),
        (("Takeuchi et al., 2024", "Table 2"), "difference weight 0.2", "Rain R@1", "53.99", None),
        (
            ("Takeuchi et al., 2024", "Table 2"),
            "difference weight 0.1",
            "Traffic R@10",
            "66.9",
            None,
        ),
        (("Takeuchi et al., 2024", "Table 3"), "difference weight 0.5", "Surge", "38.17", "0.91"),
        (("Takeuchi et al., 2024", "Table 3"), "difference weight 0.1", "CRM-D", "60.67", "0.00"),
        (("Niizumi et al., 2022 (fusion)", "Table III"), "CNN14-Fusion#3#6", "VC1", "50.6", None),
        (("Niizumi et al., 2022 (fusion)", "Table III"), "AST-Fusion#5#12", "NSynth", "77.6", None),
        (("Niizumi et al., 2022 (fusion)", "Table IV"), "COLA", "NSynth", "63.4", None),
        (("Niizumi et al., 2022 (fusion)", "Table IV"), "OpenL3", "Surge", "36.4", None),
        (("EVAR README", "section 7-2"), "VGGish", "GTZAN", "75.3", "6.7"),
        (("EVAR README", "section 7-2"), "Wav2Vec2-C", "VF", "99.2", None),
    ],
)
def test_figures_as_printed(tables, place, row, column, printed, interval):
    shown = f"{printed} ± {interval}" if interval else printed
    assert cell(tables[place], row, column) == shown


def test_figures_of_the_ensembles(tables):
    [table] = [table for table in tables.values() if table.protocol == "hear"]
    assert (len(table.columns), len(table.rows)) == (18, 17)
    assert cell(table, "PaSST", "Maestro onset F") == MISSING
    assert cell(table, "PANNs", "FSD50K mAP") == MISSING
    assert cell(table, "BYOL-S", "LibriCount") == "78.5"
    assert cell(table, "fusion_cat_xwc", "VoxLingua") == "72.0"
    assert cell(table, "cat wc", "Maestro onset F") == "46.3"
    # By construction the grouped variant has the same embeddings over time.
    for column in ("DCASE onset F", "Maestro onset F"):
        both = {cell(table, f"fusion_cat_xwc{tail}", column) for tail in ("", "_g")}
        assert len(both) == 1


def test_printed_averages_follow_from_the_rows(tables):
    n_checked = 0
    for table in tables.values():
        for row in table.rows:
            if row.average != MISSING:
                assert MISSING not in row.figures
                mean = sum(map(percent, row.figures)) / len(row.figures)
                digits = len(row.average.split(".")[1])
                # One rounding of the mean, and one of each figure.
                assert percent(row.average) == pytest.approx(mean, abs=1.01 * 10**-digits)
                n_checked += 1
    assert n_checked == 5 + 6 + 6


def test_every_table_is_sound(tables):
    assert len(tables) == 7
    for table in tables.values():
        assert table.source
        assert table.rows
        assert {len(row.figures) for row in table.rows} == {len(table.columns)}
        for column in table.columns:
            assert metric_name(column.metric) == column.metric
        for row in table.rows:
            assert all(f == MISSING or 0 <= percent(f) <= 100 for f in row.figures)
    for table in tables.values():
        if table.protocol in ("evar", "diff24"):
            assert [column.title for column in table.columns] == TITLES
            assert [task_title(column.task) for column in table.columns] == TITLES


def test_tasks_have_groups():
    tasks = ["esc50", "spcv2", "surge", "maestro-v3.0.0-5h", "my own"]
    groups = ["environmental sounds", "speech", "music", "music", "other tasks"]
    assert [task_group(task) for task in tasks] == groups
    assert task_title("my own") == "my own"


GOOD = """
title: t
paper: p
table: T
source: s
protocol: evar
columns: [{title: A, task: a, metric: accuracy}, {title: B, task: b, metric: accuracy}]
rows: [{name: one, values: "1.0±0.5 MISSING"}]
""".replace("MISSING", MISSING)


def test_smallest_table():
    table = PublishedTable.model_validate(yaml.safe_load(GOOD))
    [row] = table.rows
    assert row.figures == ("1.0 ± 0.5", MISSING)
    assert (row.average, table.average, table.notes) == (MISSING, None, ())
    assert MISSING == "\u2013"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("1.0±0.5", "1,0", "1,0"),
        ("1.0±0.5", "-1", "is no figure"),
        ("source: s\n", "", "source"),
        ("title: t\n", "title: t\nauthor: me\n", "author"),
        ("metric: accuracy}, ", "}, ", "metric"),
    ],
)
def test_bad_table_is_refused(old, new, told):
    assert old in GOOD
    with pytest.raises(ValueError, match=told):
        PublishedTable.model_validate(yaml.safe_load(GOOD.replace(old, new, 1)))
