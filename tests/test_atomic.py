import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from byola_diff import atomic
from byola_diff.atomic import (
    FolderInUseError,
    only_writer,
    remove_left_over,
    write_text,
)

HOLD = """
import sys
from pathlib import Path
from byola_diff.atomic import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def dead():
    """Number of a process that is no more."""
    run = subprocess.Popen([sys.executable, "-S", "-c", ""])
    run.wait()
    return run.pid


@pytest.fixture
def holder(tmp_path):
    """Another process that writes into a folder, and the folder."""
    folder = tmp_path / "new" / "out"
    words = [sys.executable, "-c", HOLD, str(folder)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process, folder
    process.kill()
    process.communicate()


def test_two_commands_never_write_into_one_folder(holder):
    process, folder = holder
    told = f"another command is writing into {folder}: wait for its end, or choose another folder"
    with pytest.raises(FolderInUseError, match=told), only_writer(folder):
        pass
    process.kill()  # whatever ends it
    process.wait()
    with only_writer(folder):
        write_text(folder / "mine", "x")
    assert [path.name for path in folder.iterdir()] == ["mine"]


def test_a_folder_made_for_nothing_goes_again_and_no_other(tmp_path):
    for made in (True, False):
        folder = tmp_path / str(made)
        if not made:
            folder.mkdir()
        with pytest.raises(ValueError, match="nothing to do"), only_writer(folder):
            raise ValueError("nothing to do")
        assert folder.exists() == (not made)


def test_what_dead_processes_left_is_removed_and_nothing_else(tmp_path, dead):
    here, far, below = atomic._HOST, "0" * 8, tmp_path / "audio"
    below.mkdir()
    left = [f".a.wav.{here}.{dead}.tmp", f".of an older version.{dead}.tmp", f".old.{far}.1.tmp"]
    kept = [f".b.wav.{here}.{os.getppid()}.tmp", f".c.{os.getppid()}.tmp", f".far.{far}.{dead}.tmp"]
    kept += [".c.wav.tmp", f"d.{dead}.tmp"]
    for name in left + kept:
        (below / name).touch()
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(below / left[-1], (two_days_ago, two_days_ago))
    with only_writer(tmp_path):
        assert {path.name for path in below.iterdir()} == set(kept)
    (below / f".e.{10**30}.tmp").touch()
    remove_left_over(tmp_path)
    assert {path.name for path in below.iterdir()} == set(kept)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="asks /proc")
def test_a_process_that_ended_but_was_not_collected_is_dead(tmp_path):
    run = subprocess.Popen([sys.executable, "-S", "-c", ""])
    os.waitid(os.P_PID, run.pid, os.WEXITED | os.WNOWAIT)
    (tmp_path / f".x.{run.pid}.tmp").touch()
    remove_left_over(tmp_path)
    assert not list(tmp_path.iterdir())
    run.wait()


@pytest.mark.parametrize("name", ["x" * 255, "\U0001f50a" * 63, "two\nlines", "bad \udcff"])
def test_every_name_that_is_allowed_can_be_written(name, tmp_path):
    write_text(tmp_path / name, "whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / name, "half \ud800")
    assert (tmp_path / name).read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == [name]
    (tmp_path / name).unlink()
