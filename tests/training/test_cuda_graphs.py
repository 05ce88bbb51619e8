"""Recorded steps against steps operation by operation, with a recorder that needs no GPU.

It records what CUDA graphs do: the operations on tensors, and nothing of the Python around them.
"""

from functools import partial
from unittest.mock import Mock

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_leaves, tree_map

from byola_diff import build
from byola_diff.models import cnn, pooling
from byola_diff.models.dropout import FastDropout
from byola_diff.models.pair import update_target


def record(module, inputs, allow_unused_input):
    """As `torch.cuda.make_graphed_callables`: fixed memory for inputs, outputs and gradients."""
    names = [name for name, weight in module.named_parameters() if weight.requires_grad]
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}

    def compute(state, *inputs):
        state = {
            name: value.detach().requires_grad_() if name in names else value
            for name, value in state.items()
        }
        terms = functional_call(module, state, inputs)
        gradients = torch.autograd.grad(
            terms["total"], [state[name] for name in names], allow_unused=allow_unused_input
        )
        return {name: value.detach() for name, value in terms.items()}, gradients

    for _ in range(2):  # as CUDA does, to warm up
        compute(state, *inputs)
    recorded = make_fx(compute)(state, *inputs)
    held = tree_map(torch.clone, compute(state, *inputs))

    class Replay(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *weights):
            new = recorded(state, *inputs)
            for kept, value in zip(tree_leaves(held), tree_leaves(new), strict=True):
                kept.copy_(value)
            return tuple(value.detach() for value in held[0].values())

        @staticmethod
        def backward(ctx, *_):
            return tuple(gradient.detach() for gradient in held[1])

    def replay(*new):
        for kept, value in zip(tree_leaves(inputs), tree_leaves(new), strict=True):
            kept.copy_(value)
        outputs = Replay.apply(*(state[name] for name in names))
        return dict(zip(held[0], outputs, strict=True))

    return replay


@pytest.fixture(autouse=True)
def recorder(monkeypatch):
    """The recorder in the place of CUDA's, its calls, and the operations that a GPU takes."""
    calls = Mock(side_effect=record)
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", calls)
    monkeypatch.setattr(
        cnn, "norm_relu_pool", lambda maps, norm: nn.functional.max_pool2d(norm(maps).relu(), 2)
    )
    monkeypatch.setattr(FastDropout, "forward", nn.Dropout.forward)
    monkeypatch.setattr(pooling.Kernels, "of", lambda _: None)
    # While it records, autocast keeps no weight that it has cast, so that gradients of its uses are
    # added in float32.
    monkeypatch.setattr(torch, "autocast", partial(torch.autocast, cache_enabled=False))
    return calls


@pytest.fixture
def make_learner(small_config, tmp_path):
    def make(recorded, **groups):
        training = {"cuda_graphs": recorded, **groups.pop("training", {})}
        config = small_config(tmp_path, training=training, **groups)
        return build.build_learner(config, (-9.6, 3.8))

    return make


def trained(learner, n_steps=4):
    """Terms of each step; what is drawn and what it is drawn for differ from step to step."""
    optimizer, found = learner.configure_optimizers(), []
    for step in range(n_steps):
        waveform = torch.randn(4, 5120, generator=torch.Generator().manual_seed(step)) / 10
        terms = learner.training_step({"waveform": waveform, "step": step}, 0)
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        update_target(learner.pair.online, learner.pair.target, 0.9)
        found.append({name: value.detach() for name, value in terms.items()})
    return found


@pytest.mark.parametrize(
    "groups",
    [
        {},
        {"training": {"precision": "bfloat16"}},
        {
            "objective": {"difference_weight": 0.0, "sum_weight": 0.3, "variance_weight": 1.0},
            "views": {"short": 1},
        },
        {"objective": {"mixture_domain": "power", "running_statistics": "all"}},
    ],
)
def test_terms_weights_and_statistics_are_those_of_steps_one_by_one(make_learner, groups, recorder):
    plain, recorded = make_learner(False, **groups), make_learner(True, **groups)
    expected, found = trained(plain), trained(recorded)
    assert recorder.call_count == 1
    # After the last step, as what is replayed overwrites what was.
    for wanted, terms in zip(expected, found, strict=True):
        assert wanted.keys() == terms.keys()
        for name, value in wanted.items():
            torch.testing.assert_close(terms[name], value, msg=lambda text, name=name: name + text)
    for name, value in plain.state_dict().items():
        if torch.is_tensor(value):
            torch.testing.assert_close(recorded.state_dict()[name], value, msg=name)


def test_what_is_kept_of_a_step_stays(make_learner):
    learner, generator = make_learner(True), torch.Generator()
    views = torch.randn(2, 4, 1, 64, 33)
    terms = learner.loss_terms(*views, generator, torch.tensor(1.0))
    before = {name: value.detach().clone() for name, value in terms.items()}
    after = learner.loss_terms(*views.flip(0), generator, torch.tensor(1.0))
    for name, value in before.items():
        assert torch.equal(terms[name], value), name
    assert after["total"].item() != terms["total"].item()
    assert not torch.equal(after["representation"], terms["representation"])


def test_one_gpu_is_needed(small_config, tmp_path, monkeypatch):
    config = small_config(tmp_path, training={"cuda_graphs": True})
    with pytest.raises(ValueError, match="cuda_graphs is for one GPU, not for a CPU"):
        build.build_trainer(config)
    monkeypatch.setattr(build, "use_gpu", lambda config: True)
    config = small_config(tmp_path, training={"cuda_graphs": True, "devices": 2})
    with pytest.raises(ValueError, match="cuda_graphs is for one GPU, not for 2 processes"):
        build.build_trainer(config)
    with pytest.raises(ValueError, match=r"it needs training\.accumulate 1"):
        small_config(tmp_path, training={"cuda_graphs": True, "accumulate": 2})
