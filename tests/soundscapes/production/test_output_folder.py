import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from byola_diff.atomic import remove_left_over, writers
from byola_diff.soundscapes.production.output_folder import (
    SETTINGS,
    begin_folder,
    check_folder,
)

WANTED = {"seed": 1, "range": (0.0, 3.0)}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "new" / "out"


@pytest.fixture
def dead():
    """Number of a process that is no more."""
    run = subprocess.Popen([sys.executable, "-S", "-c", ""])
    run.wait()
    return run.pid


def test_begun_and_continued(folder):
    check_folder(folder, WANTED)
    assert not folder.exists()
    begin_folder(folder, WANTED, ["table.csv"])
    assert json.loads((folder / SETTINGS).read_text()) == {"seed": 1, "range": [0.0, 3.0]}
    (folder / "table.csv").touch()
    check_folder(folder, {"seed": 1})
    assert (folder / "table.csv").exists()
    begin_folder(folder, WANTED, ["table.csv"])
    assert {path.name for path in folder.iterdir()} == {SETTINGS}


@pytest.mark.parametrize("settings", [{"seed": 2}, {"seed": 1, "more": 3}, {"range": [0, 4]}])
def test_other_settings_are_refused_before_anything_is_removed(folder, settings):
    begin_folder(folder, WANTED, ["table.csv"])
    (folder / "table.csv").touch()
    with pytest.raises(
        ValueError, match=r"other settings \((seed|more|range); see .*another --out"
    ):
        begin_folder(folder, settings, ["table.csv"])
    assert (folder / "table.csv").exists()


def test_broken_settings(folder):
    begin_folder(folder, WANTED, ["table.csv"])
    (folder / SETTINGS).write_text("{")
    with pytest.raises(ValueError, match="no JSON"):
        check_folder(folder, WANTED)
    (folder / SETTINGS).write_text("[]")
    with pytest.raises(ValueError, match="seed, range"):
        check_folder(folder, WANTED)


def test_other_files_are_refused_but_for_hidden_ones(folder):
    (folder / ".git").mkdir(parents=True)
    check_folder(folder, WANTED)
    (folder / "x.txt").touch()
    with pytest.raises(ValueError, match=r"holds other files, such as x\.txt: give another --out"):
        check_folder(folder, WANTED)


def test_another_run_that_begins_is_told(folder, dead):
    folder.mkdir(parents=True)
    (folder / f".{SETTINGS}.{dead}.tmp").touch()
    check_folder(folder, WANTED)
    (folder / f".{SETTINGS}.{os.getppid()}.tmp").touch()
    told = f"another run may be at work there, process {os.getppid()}: wait"
    with pytest.raises(ValueError, match=told):
        begin_folder(folder, WANTED, ["table.csv"])


def test_an_impossible_place_is_told_with_its_option(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, culprit in (("file", "file"), ("file/out", "file"), ("link", "link")):
        with pytest.raises(ValueError, match=rf"--out .*{name}: .*{culprit} is no folder"):
            check_folder(tmp_path / name, WANTED)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the tests may run as root
    with pytest.raises(ValueError, match=rf"--out .*x: nothing can be written in {tmp_path}$"):
        check_folder(tmp_path / "x", WANTED)


def test_what_killed_runs_left_is_removed_and_nothing_else(folder, dead):
    below = folder / "audio"
    below.mkdir(parents=True)
    names = [f".a.wav.{dead}.tmp", f".b.wav.{os.getppid()}.tmp", ".c.wav.tmp", f"d.{dead}.tmp"]
    for name in names:
        (below / name).touch()
    assert writers(below) == [os.getppid()]
    (folder / SETTINGS).write_text("{}")
    begin_folder(folder, {}, ["table.csv"])
    assert {path.name for path in below.iterdir()} == set(names[1:])
    (below / f".e.{10**30}.tmp").touch()
    remove_left_over(folder)
    assert {path.name for path in below.iterdir()} == set(names[1:])


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="asks /proc")
def test_a_process_that_ended_but_was_not_collected_is_no_writer(tmp_path):
    run = subprocess.Popen([sys.executable, "-S", "-c", ""])
    os.waitid(os.P_PID, run.pid, os.WEXITED | os.WNOWAIT)
    (tmp_path / f".x.{run.pid}.tmp").touch()
    assert writers(tmp_path) == []
    run.wait()
