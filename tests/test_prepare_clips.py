import hashlib
import time

import numpy as np
import pytest
import soundfile

from byola_diff.store.packed import PackedStore
from tests.processes import run, start

SCRIPT = "datasets/prepare_clips.py"
SMALL = ("--sample-rate", "16000", "--shard-mib", "1")


def prepare(*args):
    return run(SCRIPT, *args, *SMALL)


def hashes(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Eight sounds and one file that is none, in nested folders."""
    folder = tmp_path_factory.mktemp("source")
    for number in range(8):
        samples = 0.2 * np.random.default_rng(number).standard_normal((110_000, 2))
        (folder / str(number % 3)).mkdir(exist_ok=True)
        soundfile.write(folder / str(number % 3) / f"{number}.flac", samples, 11_025)
    (folder / "1" / "broken.wav").write_text("no sound")
    return folder


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    """Store made by one worker without a stop, and what was printed."""
    out = tmp_path_factory.mktemp("whole") / "store"
    done = prepare(source, out, "--max-rejected", "0.2")
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_everything_found_is_accounted_for(whole):
    out, printed = whole
    assert "9 found = 8 clips + 1 rejected" in printed
    assert "8 clips were recorded at less than 16000 Hz" in printed
    assert (out / "rejected.csv").read_text().splitlines()[1].startswith("1/broken.wav,unreadable")
    store = PackedStore.open(out)
    store.verify()
    assert len(store) == 8
    assert len(store.meta["shards"]) == 3


@pytest.mark.slow
def test_two_workers_write_the_same_bytes(source, whole, tmp_path):
    done = prepare(source, tmp_path / "store", "--workers", 2, "--max-rejected", "0.2")
    assert done.returncode == 0, done.stderr
    assert hashes(tmp_path / "store") == hashes(whole[0])


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_run_goes_on_to_the_same_bytes(source, whole, tmp_path, workers):
    out = tmp_path / "store"
    words = ("--max-rejected", "0.2", "--workers", workers)
    process = start(SCRIPT, source, out, *words, *SMALL)
    while not (out / "shard-00000.i16").exists() and process.is_running():
        time.sleep(0.002)
    process.kill_group()
    process.wait()
    assert not (out / "meta.json").exists()
    assert prepare(source, out, *words).returncode == 0
    assert hashes(out) == hashes(whole[0])


def test_too_many_rejected_stop_the_run(source, whole, tmp_path):
    done = prepare(source, tmp_path / "store")
    assert done.returncode == 1
    assert "1 of 9 audio files can't be used (5.0% allowed)" in done.stderr
    assert "1/broken.wav: unreadable" in done.stderr
    assert "1/broken.wav" in (tmp_path / "store" / "rejected.csv").read_text()
    assert not (tmp_path / "store" / "meta.json").exists()
    # Allowed after all, the same command goes on.
    assert prepare(source, tmp_path / "store", "--max-rejected", "0.2").returncode == 0
    assert hashes(tmp_path / "store") == hashes(whole[0])


def test_finished_store_is_left_alone(source, whole):
    before = {path: path.stat().st_mtime_ns for path in whole[0].iterdir()}
    done = prepare(source, whole[0], "--max-rejected", "0.2")
    assert done.returncode == 0
    assert done.stdout == whole[1]
    assert {path: path.stat().st_mtime_ns for path in whole[0].iterdir()} == before


def test_wrong_arguments(source, tmp_path):
    absent = prepare(tmp_path / "absent", tmp_path / "store")
    assert absent.returncode == 2
    assert "no such folder" in absent.stderr
    assert prepare(source, tmp_path / "store", "--workers", 0).returncode == 2


def test_help_has_an_example():
    done = prepare("--help")
    assert done.returncode == 0
    assert "python datasets/prepare_clips.py recordings" in done.stdout
