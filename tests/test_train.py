"""The script as its users call it: on files of all kinds, with loader workers, on two processes."""

import dataclasses
import json
import re
import shutil
import signal

import numpy as np
import pytest
import soundfile
import torch

import byola_diff
from byola_diff.commands import pretrain as pretrain_command
from byola_diff.commands import run_pretraining
from byola_diff.storage import check_hash
from tests.helpers import one_thread
from tests.processes import run, start

__all__ = ["one_thread"]

pytestmark = pytest.mark.slow


def options_of(config):
    """The command line that gives the configuration."""
    options = [f"--out_dir={config.out_dir}"]
    for part in ("data", "views", "encoder", "objective", "training"):
        for name, value in vars(getattr(config, part)).items():
            text = json.dumps(value) if isinstance(value, bool | tuple) or value is None else value
            options.append(f"--{part}.{name}={text}")
    return options


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Nested folders of wav, flac and ogg, of several rates and channels; one file is broken."""
    folder = tmp_path_factory.mktemp("recordings")
    kinds = [("wav", 8000, 1), ("flac", 44_100, 2), ("ogg", 48_000, 1), ("wav", 16_000, 6)]
    for number in range(20):
        suffix, rate, channels = kinds[number % 4]
        path = folder / f"part {number // 10}" / f"{number:02d}.{suffix}"
        path.parent.mkdir(exist_ok=True)
        noise = np.random.default_rng(number).standard_normal((rate, channels))
        soundfile.write(path, 0.01 * (number + 1) * noise, rate)
    (folder / "part 0" / "00.wav").write_bytes(b"no sound")
    return folder


@pytest.fixture(scope="module")
def config(small_config, recordings, tmp_path_factory):
    """Two epochs, so that the broken file is met."""
    data = {"source": "folder", "root": recordings, "num_workers": 2}
    return small_config(tmp_path_factory.mktemp("run"), data=data, training={"steps": 10})


@pytest.fixture(scope="module")
def finished(config):
    """A finished call of the script."""
    done = run("train.py", *options_of(config), "--training.log_every=5")
    assert done.returncode == 0, done.stderr
    return done


def test_leaves_checkpoints_log_and_settings(finished, config):
    folder = config.out_dir
    check_hash(folder / "checkpoints" / "last.ckpt")
    facts = json.loads((folder / "run.json").read_text())
    assert facts["config"]["data"]["root"] == str(config.data.root)
    assert (folder / "metrics.csv").read_text().count("\n") == 3
    assert "part 0/00.wav" in (folder / "rejected.csv").read_text()


def test_tells_what_matters_and_nothing_else(finished, config):
    out = finished.stdout.splitlines()
    assert out[0].startswith("log-mel statistics of the corpus: mean ")
    assert out[1] == "pretraining on 1 x cpu in float32, 10 steps"
    assert [line.split(":")[0] for line in out[2:4]] == ["step 5/10", "step 10/10"]
    assert out[4:] == [f"done: {config.out_dir / 'checkpoints' / 'last.ckpt'}"]
    told = [line for line in finished.stderr.splitlines() if line.strip()]
    assert all("00.wav can't be used" in line for line in told), finished.stderr


def test_workers_change_nothing(
    finished, config, small_config, pretrain, recordings, tmp_path, assert_same_training
):
    data = {"source": "folder", "root": recordings, "num_workers": 0}
    alone = small_config(tmp_path, data=data, training={"steps": 10, "log_every": 5})
    pretrain(alone)
    assert_same_training(config.out_dir, tmp_path)


def test_checkpoint_becomes_an_encoder(finished, config, tmp_path):
    checkpoint = config.out_dir / "checkpoints" / "last.ckpt"
    export = run("-m", "byola_diff.export", checkpoint, tmp_path / "bundle")
    assert export.returncode == 0, export.stderr
    encoder = byola_diff.load_encoder(tmp_path / "bundle")
    embedding = encoder.scene(torch.zeros(1, 16_000))
    assert embedding.shape == (1, 512)
    assert embedding.isfinite().all()


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--data.root=nowhere", "train.py: data.root nowhere does not exist"),
        ("--resume=none.ckpt", "train.py: no checkpoint at none.ckpt"),
        ("--resume=no", "--resume auto, or choose another --out_dir"),
        ("--seed=1", "train.py: the checkpoint was made with other settings"),
    ],
)
def test_mistakes_are_told_in_a_line(option, told, finished, config, monkeypatch):
    monkeypatch.setattr(run_pretraining, "keep_freed_memory", lambda: None)
    monkeypatch.setattr(run_pretraining, "hide_lightning_noise", lambda: None)
    with pytest.raises(SystemExit) as exit_:
        pretrain_command.main([*options_of(config), "--resume=auto", option])
    assert told in str(exit_.value)


def test_ctrl_c_is_told_and_leaves_a_checkpoint(config, tmp_path):
    config = dataclasses.replace(config, out_dir=tmp_path)
    process = start("train.py", *options_of(config), "--training.steps=100000")
    process.wait_for("^step 10/")
    process.send_signal(signal.SIGINT)
    done = process.wait()
    assert done.returncode == 130, done.stderr
    [step] = re.findall(r"train\.py: stopped after step (\d+); the same command with", done.stderr)
    check_hash(tmp_path / "checkpoints" / f"step_{int(step):08d}.ckpt")


def test_two_processes_from_one_command(small_config, pretrain, store, tmp_path):
    data = {"source": "packed", "root": store}
    training = {"steps": 2, "devices": 2, "log_every": 1}
    config = small_config(tmp_path / "two", data=data, training=training)
    done = run("train.py", *options_of(config))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    # Each line once, not once per process.
    lines = [line.split(":")[0] for line in done.stdout.splitlines()]
    assert lines == [
        "log-mel statistics of the corpus",
        "pretraining on 2 x cpu in float32, 2 steps",
        "step 1/2",
        "step 2/2",
        "done",
    ]
    check_hash(config.out_dir / "checkpoints" / "last.ckpt")
    shutil.rmtree(tmp_path)
