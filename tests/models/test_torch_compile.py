"""Encoders under `torch.compile` against the same encoders operation by operation."""

import copy

import jaxtyping
import pytest
import torch
from torch import nn

from byola_diff.models import pair as pair_module
from byola_diff.models.cnn import AudioNTT2020, AudioNTT2022
from byola_diff.models.pair import OnlineTargetPair
from byola_diff.training.objective import Objective

pytestmark = [
    pytest.mark.slow,  # compiling takes half a minute
    # What torch 2.11 does itself.
    pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def whole_graph(monkeypatch):
    """Compile to one graph or fail: a break would leave the operations after it unfused.

    Checks of shapes, which users do not have, can't be compiled.
    """
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    compiled = torch.compile(pair_module._represent, dynamic=False, fullgraph=True)
    monkeypatch.setattr(pair_module, "_compiled_represent", lambda: compiled)
    yield
    torch.compiler.reset()


def make_pair(network, dropout=0.0):
    torch.manual_seed(0)
    pair = OnlineTargetPair(network, projection_hidden=48, projection_dim=8)
    pair = pair.to(memory_format=torch.channels_last)
    for module in pair.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout  # masks are drawn in another order
    return pair


def compiled_twin(pair):
    twin = copy.deepcopy(pair)
    for branch in (twin.online, twin.target):
        branch.uses_torch_compile = True
    return twin


def trained_step(pair, running_statistics):
    """Terms of the objective after one backward pass."""
    views = torch.randn(2, 6, 1, 16, 24, generator=torch.Generator().manual_seed(1))
    objective = Objective(difference_weight=0.5, running_statistics=running_statistics)
    terms = objective(pair, *views, torch.Generator().manual_seed(2))
    terms["total"].backward()
    return terms


@pytest.mark.parametrize(
    ("network", "dim", "running_statistics"),
    [(AudioNTT2022, 320, "views"), (AudioNTT2020, 32, "all")],
)
def test_values_gradients_and_running_statistics(network, dim, running_statistics):
    plain = make_pair(network(16, dim))
    fused = compiled_twin(plain)
    found, expected = (trained_step(each, running_statistics) for each in (fused, plain))
    for term, value in expected.items():
        torch.testing.assert_close(found[term], value, atol=2e-5, rtol=2e-5)
    for (name, weight), wanted in zip(fused.named_parameters(), plain.parameters(), strict=True):
        assert (weight.grad is None) == (wanted.grad is None), name
        if wanted.grad is not None:
            # A bias before a batch normalisation has no gradient but rounding.
            error = (weight.grad - wanted.grad).norm()
            assert error < 1e-3 * wanted.grad.norm() + 1e-5, name
    for (name, buffer), wanted in zip(fused.named_buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(buffer, wanted, msg=lambda text, name=name: f"{name}: {text}")


def test_dropout_follows_the_seed():
    views = torch.randn(6, 1, 16, 24, generator=torch.Generator().manual_seed(1))
    pair = compiled_twin(make_pair(AudioNTT2020(16, 32), dropout=0.3))
    drawn = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        drawn.append(pair.online.represent(views))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_weights_and_copies_are_as_without():
    pair = make_pair(AudioNTT2020(16, 32))
    fused = compiled_twin(pair)
    view = torch.randn(2, 1, 16, 24)
    fused.online.represent(view)
    assert fused.state_dict().keys() == pair.state_dict().keys()
    assert type(copy.deepcopy(fused).online.encoder) is AudioNTT2020
