import os
import signal

import pytest

from byola_diff import build
from byola_diff.training.checkpoints import newest_checkpoint
from byola_diff.training.interruption import StoppedError


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
