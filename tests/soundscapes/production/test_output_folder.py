import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from byola_diff.atomic import remove_left_over, writers
from byola_diff.soundscapes.production.output_folder import SETTINGS, OutputFolder

WANTED = {"seed": 1, "range": (0.0, 3.0)}


@pytest.fixture
def folder(tmp_path):
    return OutputFolder(tmp_path / "new" / "out", "sources", ("table.csv",))


@pytest.fixture
def dead():
    """Number of a process that is no more."""
    run = subprocess.Popen([sys.executable, "-S", "-c", ""])
    run.wait()
    return run.pid


def test_begun_and_continued(folder):
    folder.check(WANTED)
    assert not folder.path.exists()
    folder.begin(WANTED)
    assert json.loads((folder.path / SETTINGS).read_text()) == {"seed": 1, "range": [0.0, 3.0]}
    (folder.path / "table.csv").touch()
    folder.check({"seed": 1})
    assert (folder.path / "table.csv").exists()
    folder.begin(WANTED)
    assert {path.name for path in folder.path.iterdir()} == {SETTINGS}


@pytest.mark.parametrize("settings", [{"seed": 2}, {"seed": 1, "more": 3}, {"range": [0, 4]}])
def test_other_settings_are_refused_before_anything_is_removed(folder, settings):
    folder.begin(WANTED)
    (folder.path / "table.csv").touch()
    with pytest.raises(
        ValueError, match=r"other settings \((seed|more|range); see .*another --out"
    ):
        folder.begin(settings)
    assert (folder.path / "table.csv").exists()


def test_broken_settings(folder):
    folder.begin(WANTED)
    (folder.path / SETTINGS).write_text("{")
    with pytest.raises(ValueError, match="no JSON"):
        folder.check(WANTED)
    (folder.path / SETTINGS).write_text("[]")
    with pytest.raises(ValueError, match="seed, range"):
        folder.check(WANTED)


def test_other_files_are_refused_but_for_sources_and_hidden_ones(folder):
    for name in ("sources", ".git"):
        (folder.path / name).mkdir(parents=True)
    folder.check(WANTED)
    (folder.path / "x.txt").touch()
    with pytest.raises(ValueError, match=r"holds other files, such as x\.txt: give another --out"):
        folder.check(WANTED)


def test_another_run_that_begins_is_told(folder, dead):
    folder.path.mkdir(parents=True)
    (folder.path / f".{SETTINGS}.{dead}.tmp").touch()
    folder.check(WANTED)
    (folder.path / f".{SETTINGS}.{os.getppid()}.tmp").touch()
    told = f"another run may be at work there, process {os.getppid()}: wait"
    with pytest.raises(ValueError, match=told):
        folder.begin(WANTED)


def test_an_impossible_place_is_told_with_its_option(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, culprit in (("file", "file"), ("file/out", "file"), ("link", "link")):
        with pytest.raises(ValueError, match=rf"--out .*{name}: .*{culprit} is no folder"):
            OutputFolder(tmp_path / name, "sources", ()).check(WANTED)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the tests may run as root
    with pytest.raises(ValueError, match=rf"--out .*x: nothing can be written in {tmp_path}$"):
        OutputFolder(tmp_path / "x", "sources", ()).check(WANTED)


def test_what_killed_runs_left_is_removed_and_nothing_else(folder, dead):
    below = folder.path / "audio"
    below.mkdir(parents=True)
    names = [f".a.wav.{dead}.tmp", f".b.wav.{os.getppid()}.tmp", ".c.wav.tmp", f"d.{dead}.tmp"]
    for name in names:
        (below / name).touch()
    assert writers(below) == [os.getppid()]
    (folder.path / SETTINGS).write_text("{}")
    folder.begin({})
    assert {path.name for path in below.iterdir()} == set(names[1:])
    (below / f".e.{10**30}.tmp").touch()
    remove_left_over(folder.path)
    assert {path.name for path in below.iterdir()} == set(names[1:])


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="asks /proc")
def test_a_process_that_ended_but_was_not_collected_is_no_writer(tmp_path):
    run = subprocess.Popen([sys.executable, "-S", "-c", ""])
    os.waitid(os.P_PID, run.pid, os.WEXITED | os.WNOWAIT)
    (tmp_path / f".x.{run.pid}.tmp").touch()
    assert writers(tmp_path) == []
    run.wait()
