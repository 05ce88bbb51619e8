import csv
import math
import time
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import pytorch_lightning as pl

from byola_diff import build
from byola_diff.storage import load_checked
from byola_diff.training import progress
from byola_diff.training.progress import UNBOUNDED_STEPS, TimeLimit


class Clock:
    """Stands in for the time module: a tick at each step of training."""

    def __init__(self):
        self.now, self.tick_s = 0.0, 6.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock, step_of = Clock(), build.Learner.training_step

    def step(self, batch, index):
        clock.now += clock.tick_s
        return step_of(self, batch, index)

    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr(build.Learner, "training_step", step)
    return clock


@pytest.fixture
def rows(small_config, pretrain, tmp_path, clock):
    """Rows of the log of a run whose clock ticks six seconds a step, bounded to a minute."""
    training = {"steps": None, "minutes": 1.0, "schedule": "cosine", "warmup_share": 0.5}
    pretrain(small_config(tmp_path, training=training))
    with (tmp_path / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_run_and_schedule_end_with_the_time(rows, tmp_path):
    assert [int(row["step"]) for row in rows] == list(range(1, 11))
    rates = [float(row["lr"]) for row in rows]
    # Before the first look at the clock nothing is known; then step n + 1 of 10 follows n of 10.
    expected = [
        min(1, 2 * (step + 1) / 10) * (1 + math.cos(math.pi * step / 10)) / 2
        for step in range(1, 10)
    ]
    assert rates[0] < 1e-9
    assert rates[1:] == pytest.approx([1e-3 * share for share in expected], abs=1e-9)
    checkpoint = load_checked(tmp_path / "checkpoints" / "last.ckpt")
    assert checkpoint["global_step"] == 10


@pytest.mark.slow
def test_a_resumed_run_has_the_rest_of_the_time(small_config, pretrain, tmp_path, clock):
    training = {"steps": None, "minutes": 1.0, "checkpoint_every": 4}
    config = small_config(tmp_path, training=training)
    pretrain(config)
    for name in ("step_00000010.ckpt", "last.ckpt"):
        (tmp_path / "checkpoints" / name).unlink()
    clock.now, clock.tick_s = 0.0, 3.0  # a machine twice as fast
    pretrain(config, "auto")  # from step 8, with 12 of 60 seconds left
    assert load_checked(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == 12


def test_time_since_the_last_look_counts_after_a_stop(small_config, pretrain, tmp_path, clock):
    training = {"steps": None, "minutes": 1.0, "checkpoint_every": 7, "log_every": 5}
    pretrain(small_config(tmp_path, training=training))
    states = load_checked(tmp_path / "checkpoints" / "step_00000007.ckpt")["callbacks"]
    assert states["TimeLimit"] == {"elapsed_s": 42.0, "untimed_steps": 0, "slow_s": 0.0}


@pytest.fixture
def now(monkeypatch):
    """The time that `TimeLimit` sees, in its `s`."""
    now = SimpleNamespace(perf_counter=lambda: now.s, s=0.0)
    monkeypatch.setattr(progress, "time", now)
    return now


def trainer_at(step):
    trainer = Mock(spec=pl.Trainer, global_step=step, fit_loop=Mock(), strategy=Mock())
    trainer.strategy.broadcast = lambda value: value
    return trainer


def test_speed_is_that_of_steps_that_were_timed(now):
    trainer, now.s = trainer_at(3), 100.0
    limit = TimeLimit(minutes=1.0, every=1)
    limit.on_train_start(trainer, None)
    trainer.global_step, now.s = 4, 106.0
    limit.after_step(trainer, None, None)
    assert trainer.fit_loop.epoch_loop.max_steps == 3 + 10  # of 6 s each


def test_a_first_step_that_compiles_is_not_the_speed(now):
    trainer = trainer_at(0)
    limit = TimeLimit(minutes=1.0, every=10)

    def ends(at_s):
        found = []
        for now.s in at_s:
            trainer.global_step += 1
            limit.after_step(trainer, None, None)
            found.append(trainer.fit_loop.epoch_loop.max_steps)
        return found

    limit.on_train_start(trainer, None)
    assert ends([20.0, 22.0, 24.0]) == [3, 2 + 19, 3 + 18]  # 2 s a step in the 60 s
    # Resumed, it compiles again.
    state = limit.state_dict()
    limit = TimeLimit(minutes=1.0, every=10)
    limit.load_state_dict(state)
    now.s = 100.0
    limit.on_train_start(trainer, None)
    assert ends([110.0, 112.0, 114.0])[1:] == [5 + 12, 6 + 11]


def test_a_run_of_steps_goes_on_by_the_clock(small_config, pretrain, tmp_path, clock):
    pretrain(small_config(tmp_path, training={"steps": 3}))
    training = {"steps": None, "minutes": 0.5, "checkpoint_every": 2, "keep_checkpoints": 9}
    pretrain(small_config(tmp_path, training=training), "auto")
    last = load_checked(tmp_path / "checkpoints" / "last.ckpt")
    assert last["global_step"] == 8  # 30 s of 6 s each
    assert last["callbacks"]["TimeLimit"]["untimed_steps"] == 3
    # Resumed once more, in the middle of its minutes.
    for name in ("step_00000006.ckpt", "step_00000008.ckpt", "last.ckpt"):
        (tmp_path / "checkpoints" / name).unlink()
    pretrain(small_config(tmp_path, training=training), "auto")
    assert load_checked(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == 8


@pytest.mark.slow
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
