"""A bar on a terminal; whole lines now and then where output is kept."""

import sys

import pytest

from byola_diff.progress import LINE_EVERY_S, note, progress


class Clock:
    """Stands in for tqdm's clock."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("tqdm.std.time", clock)
    return clock


def test_a_line_every_half_a_minute_with_the_time_left(clock, capsys):
    with progress(total=12, unit="clips", title="sounds") as bar:
        for _ in range(6):
            clock.now += 10
            bar.update()
    first, second, *rest = capsys.readouterr().err.splitlines()
    assert LINE_EVERY_S == 30
    assert first.startswith("sounds: 3/12 clips, 00:30 gone, 01:30 left, ")
    assert second.startswith("sounds: 6/12 clips, 01:00 gone, 01:00 left, ")
    assert [line[:12] for line in rest] == ["sounds: 6/12"]  # how it ended


def test_what_takes_less_than_half_a_minute_is_not_told_of(clock, capsys):
    for _ in progress(range(29), unit="clips"):
        clock.now += 1
    assert capsys.readouterr().err == ""


def test_lines_can_be_read_wherever_they_are_kept(clock, capsys):
    for _ in progress(range(3), unit="stacks", leave=False):
        for _ in progress(range(4), unit="epochs", leave=False):
            clock.now += 31
    told = capsys.readouterr().err
    assert told.count("stacks,") == 3
    assert told.count("epochs,") == 12
    assert not {*"\r\x1b"} & {*told}
    assert all(told.splitlines())


def test_work_that_goes_on_is_judged_by_its_own_speed(clock, capsys):
    with progress(total=100, initial=90, unit="clips") as bar:
        clock.now += 40
        bar.update(4)
    assert "94/100 clips, 00:40 gone, 01:00 left" in capsys.readouterr().err


def test_a_terminal_has_a_bar(clock, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for _ in progress(range(2), unit="clips", title="sounds"):
        clock.now += 1
    told = capsys.readouterr().err
    assert "\rsounds: 100%" in told
    assert "2/2 [" in told


def test_none_is_shown_if_it_is_not_wanted(clock, capsys):
    for _ in progress(range(2), unit="clips", disable=True):
        clock.now += 60
    assert capsys.readouterr().err == ""


def test_a_note_is_a_line_of_its_own(clock, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for _ in progress(range(2), unit="clips", title="sounds"):
        note("one is lost")
        clock.now += 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "\rone is lost\n" in told.err
