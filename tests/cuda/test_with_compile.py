"""`training.compile` on the device. Last by its name, as it takes longest."""

import sys

import pytest
import torch

from byola_diff.training.objective import Objective
from tests.cuda.test_parts import assert_close, make_pair, uniform

# What torch 2.11 does itself.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.torch.jit.script_method. is deprecated:DeprecationWarning"
)


@pytest.fixture(autouse=True)
def compiler(monkeypatch):
    """Checks of shapes can't be compiled; graphs of one test are not for the next."""
    if "jaxtyping" in sys.modules:
        monkeypatch.setattr(sys.modules["jaxtyping"].config, "jaxtyping_disable", True)
    yield
    torch.compiler.reset()


def test_encoders_against_the_same_operations_one_by_one(device):
    """Terms, gradients and running statistics."""
    views = [2 * uniform(16, 1, 64, 96, seed=seed).to(device) - 1 for seed in (0, 1)]
    objective = Objective(difference_weight=0.5, rate_range=(0.4, 0.4))
    pairs = [make_pair().to(device), make_pair().to(device)]
    for branch in (pairs[1].online, pairs[1].target):
        branch.uses_torch_compile = True
    plain, fused = (objective(pair, *views, torch.Generator(device)) for pair in pairs)
    for terms in (plain, fused):
        terms["total"].backward()
    for term in ("total", "byol", "difference"):
        assert fused[term].item() == pytest.approx(plain[term].item(), abs=2e-5)
    names = [name for name, _ in pairs[0].named_parameters()]
    for name, *weights in zip(names, *(pair.parameters() for pair in pairs), strict=True):
        wanted, found = (weight.grad for weight in weights)
        assert (found is None) == (wanted is None), name
        if wanted is not None:
            assert (found - wanted).norm() / (wanted.norm() + 1e-3) < 0.02, name
    for wanted, found in zip(*(pair.buffers() for pair in pairs), strict=True):
        assert_close(found.float(), wanted.cpu().float(), 1e-5)


def test_resumed_run_has_the_same_bits(check_resumed):
    check_resumed(precision="bfloat16", compile=True)
