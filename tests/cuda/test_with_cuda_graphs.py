"""`training.cuda_graphs` on the device. Last: a fault of the device would fail what comes after."""

import pytest
import torch

from byola_diff import build
from byola_diff.models.pair import update_target


@pytest.fixture
def trained(small_config, tmp_path, device):
    """Terms and gradients of some steps, and the statistics that they leave."""
    if device.type != "cuda":
        pytest.skip("needs a GPU")  # tests/training/test_cuda_graphs.py has a stand-in

    def train(n_steps=5, nudge=0.0, **training):
        config = small_config(tmp_path, training=training)
        learner = build.build_learner(config, (-9.6, 3.8)).to(device)
        with torch.no_grad():
            for weight in learner.pair.parameters():
                weight.mul_(1 + nudge * torch.randn_like(weight))
        optimizer, found = learner.configure_optimizers(), []
        for step in range(n_steps):
            draws = torch.Generator().manual_seed(step)
            waveform = torch.randn(16, 5120, generator=draws).to(device) / 10
            terms = learner.training_step({"waveform": waveform, "step": step}, 0)
            optimizer.zero_grad()
            terms["loss"].backward()
            gradients = {
                name: weight.grad.clone()
                for name, weight in learner.pair.named_parameters()
                if weight.grad is not None
            }
            optimizer.step()
            update_target(learner.pair.online, learner.pair.target, 0.9)
            found.append(({name: value.detach() for name, value in terms.items()}, gradients))
        return found, dict(learner.pair.named_buffers())

    return train


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_steps_are_those_without(precision, trained):
    """Dropout too, which draws the same: a replay counts random numbers as its operations do."""
    (expected, statistics), (found, recorded) = (
        trained(precision=precision, cuda_graphs=is_on) for is_on in (False, True)
    )
    for (terms, gradients), (wanted, wanted_gradients) in zip(found, expected, strict=True):
        for name, value in wanted.items():
            torch.testing.assert_close(
                terms[name], value, atol=2e-2, rtol=2e-2, msg=lambda text, name=name: name + text
            )
        for name, gradient in wanted_gradients.items():
            error = (gradients[name] - gradient).norm() / (gradient.norm() + 1e-3)
            assert error < 0.05, name
    for name, value in statistics.items():
        torch.testing.assert_close(recorded[name], value, atol=1e-2, rtol=1e-2, msg=name)


def test_losses_of_200_steps_differ_as_if_weights_had_been_rounded(trained):
    plain, recorded, nudged = (
        torch.stack([terms["loss"] for terms, _ in trained(200, **settings)[0]]).reshape(10, 20)
        for settings in ({}, {"cuda_graphs": True}, {"nudge": 2**-24})
    )
    by_us, by_rounding = (
        (other.mean(1) - plain.mean(1)).abs().max().item() for other in (recorded, nudged)
    )
    assert by_us <= 4 * by_rounding
    assert plain[-1].mean() < plain[0].mean()


def test_resumed_run_has_the_same_bits(check_resumed, device):
    if device.type != "cuda":
        pytest.skip("needs a GPU")
    check_resumed(precision="bfloat16", cuda_graphs=True)
