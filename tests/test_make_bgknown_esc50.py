import csv
import json
import shutil
import signal
import time

import numpy as np
import pytest

from byola_diff.audio.files import write_wav
from byola_diff.commands import make_bgknown
from tests.processes import start


@pytest.fixture(scope="module")
def script():
    return make_bgknown


def status(script, *args):
    try:
        return script.main([str(arg) for arg in args])
    except SystemExit as end:
        return end.code


def command(out, *more):
    sources = ["--esc50", "procedural", "--background", "procedural", "--out", out]
    rate = ["--sample-rate", 8000, "--clips-per-label", 5, "--limit", 4]
    return [*sources, *rate, "--renderer", "mixer", *more]


@pytest.mark.slow
def test_procedural_data_set_and_its_continuation(script, tmp_path, capsys):
    out = tmp_path / "out"
    assert status(script, *command(out)) == 0
    printed = capsys.readouterr().out
    assert "train: 2 items of 2 classes, in 2 of 16 backgrounds" in printed
    assert "4 items made, 0 refused" in printed
    with (out / "items.csv").open(newline="") as stream:
        assert {row["split"] for row in csv.DictReader(stream)} == {"train", "test"}
    deviations = json.loads((out / "bgknown.json").read_text())["deviations"]
    assert deviations[:2] == ["events: procedural", "backgrounds: procedural"]
    assert "limit: 4 items of 150" in deviations
    before = (out / "bgknown.json").read_bytes()
    assert status(script, *command(out)) == 0
    assert (out / "bgknown.json").read_bytes() == before
    assert status(script, *command(out, "--ref-db", -41)) == 2
    assert "other settings (ref_db; see" in capsys.readouterr().err


def test_dry_run_writes_nothing(script, tmp_path, capsys):
    assert status(script, *command(tmp_path / "out", "--dry-run")) == 0
    assert "test: 2 items of 2 classes" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_refused_items_give_status_2(script, tmp_path, capsys):
    rng = np.random.default_rng(0)
    lines = ["file,label,fold"]
    for fold in range(1, 6):
        sound = 0.1 * rng.standard_normal(8000) * (fold != 3)
        write_wav(tmp_path / "events" / f"{fold}.wav", sound, 8000)
        lines.append(f"{fold}.wav,noise,{fold}")
    (tmp_path / "events" / "manifest.csv").write_text("\n".join(lines) + "\n")
    for number in range(6):
        sound = 0.1 * rng.standard_normal(81_000)
        write_wav(tmp_path / "long" / f"{number}.wav", sound, 8000)
    args = ["--esc50", tmp_path / "events", "--background", tmp_path / "long"]
    rest = ["--sample-rate", 8000, "--renderer", "mixer", "--out", tmp_path / "out"]
    assert status(script, *args, *rest) == 2
    printed = capsys.readouterr()
    assert "4 items made, 1 refused" in printed.out
    assert "event clips shorter, padded: 5 not of 5 s" in printed.out
    assert "first refused: 3: " in printed.err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--workers", "0"], "argument --workers: '0' is no positive whole number"),
        (["--background", "a", "b", "c"], "one folder or two"),
        (["--snr-db", "3", "0"], "no range"),
        (["--ref-db", "1"], "--ref-db must lie between -70 and 0"),
        (["--esc50", "absent"], "absent has neither meta/esc50.csv"),
        (["--background", "absent"], "no such folder: absent"),
    ],
)
def test_wrong_arguments(script, tmp_path, capsys, more, message):
    assert status(script, *command(tmp_path / "out", *more, "--dry-run")) == 2
    assert message in capsys.readouterr().err


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """The command for 40 short events in noise, but for its --out."""
    folder, rng = tmp_path_factory.mktemp("recordings"), np.random.default_rng(0)
    lines = ["file,label,fold", *(f"{n}.wav,noise,{1 + n % 5}" for n in range(40))]
    for number in range(40):
        write_wav(folder / "events" / f"{number}.wav", 0.1 * rng.standard_normal(4000), 8000)
    (folder / "events" / "manifest.csv").write_text("\n".join(lines) + "\n")
    for number in range(10):
        write_wav(folder / "long" / f"{number}.wav", 0.1 * rng.standard_normal(81_000), 8000)
    words = ["--esc50", folder / "events", "--background", folder / "long"]
    return [*words, "--sample-rate", 8000, "--renderer", "mixer"]


@pytest.fixture(scope="module")
def whole(script, recordings, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    assert status(script, *recordings, "--out", out) == 0
    return tree(out)


@pytest.mark.slow
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_killed_and_continued(script, recordings, whole, tmp_path, kill):
    """Nothing tells of the stop afterwards, not even a file that was being written."""
    out = tmp_path / "out"
    run = start("datasets/make_bgknown_esc50.py", *recordings, "--out", out, "--workers", 2)
    end = time.monotonic() + 60
    while not list(out.glob("jams/*/*.jams")):
        assert time.monotonic() < end
        time.sleep(0.005)
    run.send_signal(kill)
    assert run.wait().returncode == (130 if kill == signal.SIGINT else -signal.SIGKILL)
    time.sleep(1)  # workers that notice that their parent is gone
    assert not (out / "bgknown.json").exists()
    (out / f".mix.csv.{run.pid}.tmp").touch()
    (out / "audio" / f".x_mix.wav.{run.pid}.tmp").touch()
    assert status(script, *recordings, "--out", out) == 0
    assert tree(out) == whole


@pytest.mark.slow
def test_four_workers_make_the_same_bytes(script, recordings, whole, tmp_path):
    assert status(script, *recordings, "--out", tmp_path / "out", "--workers", 4) == 0
    assert tree(tmp_path / "out") == whole


def tree(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
def test_another_data_set_is_not_touched(script, tmp_path, capsys):
    out = tmp_path / "out"
    assert status(script, *command(out)) == 0
    before = tree(out)
    assert status(script, *command(out, "--seed", 1)) == 2
    assert "other settings (seed; see" in capsys.readouterr().err
    assert tree(out) == before


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--limit", 60], "other settings (limit; see"),
        (["--exclude-background-labels", "rain"], "other settings (excluded_labels; see"),
        (["--clips-per-label", 6], "other settings (events; see"),
    ],
)
def test_other_settings_are_always_told_with_the_remedy(script, procedural, capsys, more, told):
    assert status(script, *command(procedural, *more)) == 2
    printed = capsys.readouterr().err
    assert told in printed
    assert "give another --out, or remove it" in printed


@pytest.fixture(scope="module")
def procedural(script, tmp_path_factory):
    out = tmp_path_factory.mktemp("procedural") / "out"
    assert status(script, *command(out)) == 0
    return out


def test_given_folders_are_looked_at_before_sounds_are_made(script, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert status(script, *command(tmp_path / "out", "--background", tmp_path / "empty")) == 2
    assert "no audio files in" in capsys.readouterr().err
    (tmp_path / "manifest.csv").write_text("file,label,fold\n1.wav,noise,1\n2.wav,noise,2\n")
    for fold in (1, 2):
        write_wav(tmp_path / f"{fold}.wav", 0.1 * np.ones(8000), 8000)
    assert status(script, *command(tmp_path / "out", "--esc50", tmp_path)) == 2
    assert "no event in folds [4, 5]" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_bad_background_is_counted_once_and_named(script, recordings, tmp_path, capsys):
    long = tmp_path / "long"
    shutil.copytree(recordings[3], long)
    (long / "bad.wav").write_bytes(b"no audio")
    words = [*recordings[:3], long, *recordings[4:], "--out", tmp_path / "out", "--dry-run"]
    assert status(script, *words) == 0
    told = f"backgrounds that can't be read: 1, such as {long / 'bad.wav'}: "
    assert told in capsys.readouterr().out


def test_an_impossible_folder_is_told_with_its_option(script, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert status(script, *command(tmp_path / "file" / "out")) == 2
    assert (
        f"--out {tmp_path / 'file' / 'out'}: {tmp_path / 'file'} is no" in capsys.readouterr().err
    )


@pytest.mark.slow
def test_silence_in_both_parts_is_no_leak(script, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for number in range(2):
            sound = 0.1 * rng.standard_normal(81_000) * number
            write_wav(tmp_path / part / f"{number}.wav", sound, 8000)
    grounds = ["--background", tmp_path / "train", tmp_path / "test"]
    assert status(script, *command(tmp_path / "out", *grounds)) == 0
    assert "4 items made, 0 refused" in capsys.readouterr().out
