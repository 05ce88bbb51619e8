import pytest

from byola_diff.reports.published import MISSING, read_published
from byola_diff.scores.task_names import metric_name, task_group, task_title

NINE = ["ESC-50", "US8K", "SPCV2", "VC1", "VF", "CRM-D", "GTZAN", "NSynth", "Surge"]


@pytest.fixture(scope="module")
def tables():
    return {(table.paper, table.table): table for table in read_published()}


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
    figure = cell(tables[place], row, column)
    assert (figure.printed, figure.interval) == (printed, interval)


def test_figures_of_the_ensembles(tables):
    [table] = [table for table in tables.values() if table.protocol == "hear"]
    assert (len(table.columns), len(table.rows)) == (18, 17)
    assert cell(table, "PaSST", "Maestro onset F") is None
    assert cell(table, "PANNs", "FSD50K mAP") is None
    assert cell(table, "BYOL-S", "LibriCount").percent == 78.5
    assert cell(table, "fusion_cat_xwc", "VoxLingua").percent == 72.0
    assert cell(table, "cat wc", "Maestro onset F").percent == 46.3
    # By construction the grouped variant has the same embeddings over time.
    for column in ("DCASE onset F", "Maestro onset F"):
        both = {cell(table, f"fusion_cat_xwc{tail}", column).printed for tail in ("", "_g")}
        assert len(both) == 1


def test_printed_averages_follow_from_the_rows(tables):
    n_checked = 0
    for table in tables.values():
        for row in table.rows:
            if row.average:
                assert None not in row.figures
                mean = sum(figure.percent for figure in row.figures) / len(row.figures)
                digits = len(row.average.printed.split(".")[1])
                # One rounding of the mean, and one of each figure.
                assert row.average.percent == pytest.approx(mean, abs=1.01 * 10**-digits)
                n_checked += 1
    assert n_checked == 5 + 6 + 6


def test_every_table_is_sound(tables):
    assert len(tables) == 7
    for table in tables.values():
        assert table.source
        assert table.rows
        for column in table.columns:
            assert metric_name(column.metric) == column.metric
        for row in table.rows:
            assert all(figure is None or 0 <= figure.percent <= 100 for figure in row.figures)
    for table in tables.values():
        if table.protocol in ("evar", "diff24"):
            assert [column.title for column in table.columns] == NINE
            assert [task_title(column.task) for column in table.columns] == NINE


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


def test_smallest_table(tmp_path):
    (tmp_path / "t.yaml").write_text(GOOD, encoding="utf-8")
    [table] = read_published(tmp_path)
    [row] = table.rows
    assert (row.figures[0].printed, row.figures[0].interval) == ("1.0", "0.5")
    assert (row.figures[1], row.average, table.average, table.notes) == (None, None, None, ())
    assert MISSING == "\u2013"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (f"1.0±0.5 {MISSING}", "1.0", "row 'one' has 1 values, not 2"),
        ("1.0±0.5", "1,0", "1,0"),
        ("1.0±0.5", "-1", "is no figure"),
        ("source: s\n", "", "source"),
        ("title: t\n", "title: t\nauthor: me\n", "'author'"),
        ("metric: accuracy}, ", "}, ", "metric"),
        ("rows:", "rows: [", "yaml"),
    ],
)
def test_bad_table_is_refused_by_name(tmp_path, old, new, told):
    assert old in GOOD
    (tmp_path / "bad.yaml").write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=r"bad\.yaml") as caught:
        read_published(tmp_path)
    assert told in str(caught.value)


def test_no_tables_at_all(tmp_path):
    with pytest.raises(FileNotFoundError, match="no published tables"):
        read_published(tmp_path)
