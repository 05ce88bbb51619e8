import csv
import os
import signal
import time

import pytest
import torch

from byola_diff import build
from byola_diff.storage import load_checked
from byola_diff.training import stopping
from byola_diff.training.checkpoints import newest_checkpoint
from byola_diff.training.stopping import UNBOUNDED_STEPS, StoppedError, TimeLimit


@pytest.fixture
def press(monkeypatch):
    """Press Ctrl-C in the given calls of the training step."""

    def at(*calls):
        step_of, left = build.Learner.training_step, list(range(1, 100))

        def step(self, batch, index):
            if left.pop(0) in calls:
                os.kill(os.getpid(), signal.SIGINT)
            return step_of(self, batch, index)

        monkeypatch.setattr(build.Learner, "training_step", step)

    return at


@pytest.mark.parametrize(("accumulate", "call", "step"), [(1, 3, 3), (2, 3, 2), (2, 4, 2)])
def test_the_step_is_finished_and_the_run_goes_on_from_there(
    accumulate, call, step, press, small_config, pretrain, tmp_path, assert_same_training, capsys
):
    training = {"accumulate": accumulate, "steps": 4, "log_every": 1, "checkpoint_every": 100}
    whole = small_config(tmp_path / "whole", training=training)
    stopped = small_config(tmp_path / "stopped", training=training)
    pretrain(whole)
    before = signal.getsignal(signal.SIGINT)
    press(call)
    with pytest.raises(StoppedError, match=f"stopped after step {step}; .* --resume auto"):
        pretrain(stopped)
    assert signal.getsignal(signal.SIGINT) is before
    assert "Ctrl-C again stops at once" in capsys.readouterr().err
    assert newest_checkpoint(stopped.out_dir / "checkpoints").name == f"step_{step:08d}.ckpt"
    pretrain(stopped, "auto")
    assert_same_training(stopped.out_dir, whole.out_dir)


def test_a_second_time_stops_at_once(press, small_config, pretrain, tmp_path):
    press(2, 3)  # of the three batches of a step
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit):  # as Lightning ends after Ctrl-C
        pretrain(small_config(tmp_path, training={"accumulate": 3, "steps": 4}))
    assert newest_checkpoint(tmp_path / "checkpoints") is None
    signal.signal(signal.SIGINT, before)  # Lightning leaves it ignored


def test_a_run_that_ends_gives_ctrl_c_back(small_config, pretrain, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    pretrain(small_config(tmp_path, training={"steps": 1}))
    assert signal.getsignal(signal.SIGINT) is before


class Clock:
    """Stands in for the time module: a tick at each reading."""

    def __init__(self, tick_s):
        self.now, self.tick_s = 0.0, tick_s

    def perf_counter(self):
        self.now += self.tick_s
        return self.now


@pytest.fixture
def rows(small_config, pretrain, tmp_path, monkeypatch):
    """Rows of the log of a run whose clock ticks six seconds a step, bounded to a minute."""
    monkeypatch.setattr(stopping, "time", Clock(6.0))
    training = {"steps": None, "minutes": 1.0, "schedule": "cosine", "warmup_share": 0.5}
    pretrain(small_config(tmp_path, training=training))
    with (tmp_path / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_run_and_schedule_end_with_the_time(rows, tmp_path):
    assert [int(row["step"]) for row in rows] == list(range(1, 11))
    rates = [float(row["lr"]) for row in rows]
    # Before the first look at the clock nothing is known; then step n + 1 of 10 follows n of 10.
    expected = [
        min(1, 2 * p) * (1 + torch.cos(torch.tensor(torch.pi * p)).item()) / 2
        for p in (step / 10 for step in range(2, 11))
    ]
    assert rates[0] < 1e-9
    assert rates[1:] == pytest.approx([1e-3 * share for share in expected], abs=1e-9)
    checkpoint = load_checked(tmp_path / "checkpoints" / "last.ckpt")
    assert checkpoint["global_step"] == 10


def test_a_resumed_run_has_the_rest_of_the_time(small_config, pretrain, tmp_path, monkeypatch):
    training = {"steps": None, "minutes": 1.0, "checkpoint_every": 4}
    config = small_config(tmp_path, training=training)
    monkeypatch.setattr(stopping, "time", Clock(6.0))
    pretrain(config)
    for name in ("step_00000010.ckpt", "last.ckpt"):
        (tmp_path / "checkpoints" / name).unlink()
    monkeypatch.setattr(stopping, "time", Clock(3.0))  # a machine twice as fast
    pretrain(config, "auto")  # from step 8, with 12 of 60 seconds left
    assert load_checked(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == 12


def test_really_takes_the_time_asked_for(small_config, tmp_path):
    training = {"steps": None, "minutes": 1.5 / 60}
    config = small_config(tmp_path, training=training)
    trainer = build.build_trainer(config)
    learner = build.build_learner(config, (-10.0, 4.0))
    start = time.perf_counter()
    trainer.fit(learner, build.build_clip_module(config))
    assert trainer.global_step >= 1
    elapsed = time.perf_counter() - start
    assert 1.0 < elapsed < 15  # whole steps, so a little less too; set-up and a checkpoint on top


def test_length_before_it_is_known(small_config, tmp_path):
    config = small_config(tmp_path, training={"steps": None, "minutes": 1.0})
    assert build.count_steps(config) == UNBOUNDED_STEPS
    assert isinstance(build.build_trainer(config).callbacks[0], TimeLimit)
