import pytest

from byola_diff.training.metrics_file import MetricsFile


@pytest.fixture
def log(tmp_path):
    log = MetricsFile(tmp_path / "new folder" / "metrics.csv")
    for step in (2, 4, 6):
        log.append(step, {"loss": step / 8, "note": ""})
    return log


def test_rows_below_one_header(log):
    assert log.path.read_text().splitlines() == ["step,loss,note", "2,0.25,", "4,0.5,", "6,0.75,"]


@pytest.mark.parametrize(
    ("step", "left"), [(6, [2, 4, 6]), (5, [2, 4]), (4, [2, 4]), (1, []), (9, [2, 4, 6])]
)
def test_rows_after_the_step_are_dropped(log, step, left):
    log.truncate(step)
    rows = log.path.read_text().splitlines()
    assert rows[0] == "step,loss,note"
    assert [int(row.split(",")[0]) for row in rows[1:]] == left


def test_goes_on_after_dropping(log):
    log.truncate(4)
    log.append(6, {"loss": 1.5, "note": "again"})
    assert log.path.read_text().splitlines()[-2:] == ["4,0.5,", "6,1.5,again"]


@pytest.mark.parametrize("torn", ["8", "8,0", "8,0.12,x"])
def test_row_cut_short_by_a_kill_is_dropped(log, torn):
    with log.path.open("a") as file:
        file.write(torn)
    log.truncate(8)
    log.append(8, {"loss": 1.0, "note": ""})
    assert log.path.read_text().splitlines()[-2:] == ["6,0.75,", "8,1.0,"]


@pytest.mark.parametrize("content", ["", "step,lo"])
def test_file_without_a_whole_header_starts_again(log, content):
    log.path.write_text(content)
    log.truncate(8)
    log.append(8, {"loss": 1.0, "note": ""})
    assert log.path.read_text().splitlines() == ["step,loss,note", "8,1.0,"]


def test_nothing_to_drop(tmp_path):
    MetricsFile(tmp_path / "metrics.csv").truncate(3)
    assert not list(tmp_path.iterdir())
