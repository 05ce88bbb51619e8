import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from byola_diff.audio.files import write_wav

SCRIPT = Path(__file__).parent.parent / "datasets" / "make_bgknown_esc50.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_bgknown_esc50", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def status(script, *args):
    try:
        return script.main([str(arg) for arg in args])
    except SystemExit as end:
        return end.code


def command(out, *more):
    sources = ["--esc50", "procedural", "--background", "procedural", "--out", out]
    rate = ["--sample-rate", 8000, "--clips-per-label", 5, "--limit", 4]
    return [*sources, *rate, "--renderer", "mixer", *more]


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
        (["--workers", "0"], "--workers must be at least 1"),
        (["--background", "a", "b", "c"], "one folder or two"),
        (["--snr-db", "3", "0"], "no range"),
        (["--esc50", "absent"], "absent has neither meta/esc50.csv"),
        (["--background", "absent"], "no such folder: absent"),
    ],
)
def test_wrong_arguments(script, tmp_path, capsys, more, message):
    assert status(script, *command(tmp_path / "out", *more, "--dry-run")) == 2
    assert message in capsys.readouterr().err
