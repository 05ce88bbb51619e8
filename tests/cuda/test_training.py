import time

import pytest
import torch

from byola_diff import build
from byola_diff.sounds import training_batch
from byola_diff.training.clip_module import WaitClock


@pytest.fixture
def make_learner(small_config, tmp_path, device):
    def make(precision, encoder=None):
        changes = {"training": {"precision": precision}, "encoder": encoder or {}}
        return build.build_learner(small_config(tmp_path, **changes), (-9.6, 3.8)).to(device)

    return make


def test_a_step_in_bfloat16_is_near_the_one_in_float32(make_learner, device):
    waveform = training_batch(0, torch.arange(16, device=device), 5120, 16_000)
    losses = {}
    for precision in ("float32", "bfloat16"):
        learner = make_learner(precision)
        for module in learner.modules():  # a GPU draws other masks for each type of number
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        optimizer = learner.configure_optimizers()
        losses[precision] = []
        for step in range(4):
            loss = learner.training_step({"waveform": waveform, "step": step % 2}, 0)["loss"]
            losses[precision].append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert losses["bfloat16"][0] == pytest.approx(losses["float32"][0], abs=0.05)
    for values in losses.values():
        assert values[-1] < values[1] < 8


def test_waiting_is_of_a_device_without_work(device):
    waiting = WaitClock(device)
    with waiting():
        time.sleep(0.1)
    if device.type == "cuda":
        torch.cuda.synchronize()
    idle_s = waiting.seconds
    assert 0.09 < idle_s < 0.3
    if device.type == "cuda":
        factors = torch.ones(8192, 8192, device=device)
        for _ in range(40):  # more than 0.1 s of work
            factors @ factors
        with waiting():
            time.sleep(0.1)
        torch.cuda.synchronize()
        assert waiting.seconds - idle_s < 0.02


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_resumed_run_has_the_same_bits_in_deterministic_mode(precision, check_resumed):
    check_resumed(precision=precision)
