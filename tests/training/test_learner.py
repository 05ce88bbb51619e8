import copy
import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from byola_diff import build
from byola_diff.clips.endless import ProceduralSource
from byola_diff.clips.open import open_source
from byola_diff.config import TrainingConfig
from byola_diff.training import learner as learner_module
from byola_diff.training.learner import learning_rate, target_decay
from byola_diff.training.run_identity import statistics_of_run


@pytest.fixture
def learner(small_config, tmp_path):
    return build.build_learner(small_config(tmp_path, views={"mixup_share": 0.0}), (-9.6, 3.8))


@pytest.fixture(scope="module")
def waveform():
    return ProceduralSource(0, 5120, 16_000).batch(0, torch.arange(4), "cpu")


def test_two_steps_lower_the_loss_of_a_fixed_batch(learner, waveform):
    batch, optimizer = {"waveform": waveform, "step": 0}, learner.configure_optimizers()
    losses = []
    for _ in range(3):
        loss = learner.training_step(batch, 0)["loss"]
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[2] < losses[1] < losses[0]


def test_terms_of_a_step(learner, waveform):
    terms = learner.training_step({"waveform": waveform, "step": 0}, 0)
    assert terms["loss"].requires_grad
    assert not any(terms[name].requires_grad for name in terms if name != "loss")
    assert terms["total"].item() == terms["loss"].item()
    mean = (terms["byol"] + terms["difference"]).item() / 2
    assert terms["total"].item() == pytest.approx(mean, abs=1e-6)
    assert 0 <= terms["byol"].item() <= 8
    assert terms["representation"].shape == (4, 512)


def test_draws_depend_on_step_and_seed_alone(learner, waveform, small_config, tmp_path):
    def loss(learner, step):
        torch.manual_seed(torch.seed())  # whatever was drawn before
        return copy.deepcopy(learner).training_step({"waveform": waveform, "step": step}, 0)["loss"]

    assert loss(learner, 3).item() == loss(learner, 3).item()
    assert loss(learner, 3).item() != loss(learner, 4).item()
    other = build.build_learner(small_config(tmp_path, views={"mixup_share": 0.0}), (-9.6, 3.8))
    other.seed = 43
    assert loss(learner, 3).item() != loss(other, 3).item()


class ReadsBack(TorchDispatchMode):
    """Notes the operations for which a host has to wait until the device has finished its work."""

    waits = ("aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::unique")

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function._schema.name.startswith(self.waits):
            self.found.append(function._schema.name)
        return function(*args, **(kwargs or {}))


def test_a_step_reads_nothing_back_from_the_device(learner, waveform):
    learner.uses_bfloat16 = True  # in float32 a CPU takes a path of its own
    learner.training_step({"waveform": waveform, "step": 0}, 0)  # fills the memory
    optimizer = learner.configure_optimizers()
    with ReadsBack() as reads:
        learner.training_step({"waveform": waveform, "step": 1}, 0)["loss"].backward()
        optimizer.step()
        learner_module.update_target(learner.pair.online, learner.pair.target, 0.99)
    assert reads.found == []
    with ReadsBack() as reads:
        waveform.sum().item()
    assert reads.found == ["aten::_local_scalar_dense"]


def test_nothing_flows_to_the_target(learner, waveform):
    learner.training_step({"waveform": waveform, "step": 0}, 0)["loss"].backward()
    assert all(weight.grad is None for weight in learner.pair.target.parameters())
    trained = {id(weight) for weight in learner.pair.parameters() if weight.grad is not None}
    groups = learner.configure_optimizers().param_groups
    assert trained == {id(weight) for group in groups for weight in group["params"]}


def test_bfloat16_keeps_losses_in_float32(small_config, waveform, tmp_path):
    config = small_config(tmp_path, training={"precision": "bfloat16"})
    learner = build.build_learner(config, (-9.6, 3.8))
    seen = []
    convolution = next(m for m in learner.pair.online.modules() if isinstance(m, torch.nn.Conv2d))
    convolution.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    terms = learner.training_step({"waveform": waveform, "step": 0}, 0)
    assert set(seen) == {torch.bfloat16}
    assert {value.dtype for value in terms.values()} == {torch.float32}


def test_target_moves_once_per_optimiser_step(small_config, pretrain, tmp_path, monkeypatch):
    moves, batches = [], []
    update, step_of = learner_module.update_target, learner_module.Learner.training_step

    def note_move(online, target, decay):
        before = [weight.clone() for weight in target.parameters()]
        update(online, target, decay)
        for old, new, followed in zip(
            before, target.parameters(), online.parameters(), strict=True
        ):
            torch.testing.assert_close(new, 0.99 * old + 0.01 * followed, rtol=0, atol=1e-6)
        moves.append(decay)

    monkeypatch.setattr(learner_module, "update_target", note_move)
    monkeypatch.setattr(
        learner_module.Learner,
        "training_step",
        lambda self, batch, index: batches.append(batch["step"]) or step_of(self, batch, index),
    )
    learner = pretrain(small_config(tmp_path, training={"steps": 3, "accumulate": 2}))
    assert learner.trainer.global_step == 3
    assert moves == [0.99] * 3
    assert batches == list(range(6))


def test_accumulated_gradient_is_the_mean_over_the_batches(small_config, pretrain, tmp_path):
    config = small_config(tmp_path, training={"steps": 1, "accumulate": 2})
    gradients = {}

    def note(learner, optimizer):
        weights = learner.pair.named_parameters()
        gradients.update({name: w.grad.clone() for name, w in weights if w.requires_grad})

    statistics = statistics_of_run(config, None)
    learner = build.build_learner(config, statistics)
    learner.on_before_optimizer_step = lambda optimizer: note(learner, optimizer)
    build.build_trainer(config).fit(learner, build.build_clip_module(config))

    by_hand = build.build_learner(config, statistics)
    source = open_source(config, "cpu")
    for step in range(2):
        clips = torch.arange(4 * step, 4 * step + 4)
        batch = {"waveform": source.batch(0, clips, "cpu"), "step": step}
        (by_hand.training_step(batch, step)["loss"] / 2).backward()
    for name, weight in by_hand.pair.named_parameters():
        if weight.requires_grad:
            torch.testing.assert_close(gradients[name], weight.grad, rtol=0, atol=1e-7)


def rate(schedule, peak, warmup_share, step, n_steps=200):
    config = TrainingConfig(schedule=schedule, lr=peak, warmup_share=warmup_share)
    return learning_rate(config, step, n_steps)


def test_constant_is_the_peak():
    assert [rate("constant", 1e-3, 0.05, step) for step in (0, 100, 199)] == [1e-3] * 3


@pytest.mark.parametrize(
    ("step", "share"),
    [
        (4, 0.5 * (1 + math.cos(math.pi * 0.02)) / 2),  # halfway through the warm-up
        (100, 0.5),
        (150, (1 - math.sqrt(0.5)) / 2),
        (199, math.sin(math.pi / 400) ** 2),
    ],
)
def test_cosine_by_hand(step, share):
    assert rate("cosine", 2.0, 0.05, step) == pytest.approx(2 * share, abs=1e-12)


@pytest.mark.parametrize("n_steps", [1, 2, 1000])
def test_every_step_of_a_cosine_moves_the_weights(n_steps):
    assert all(rate("cosine", 1.0, 0.05, step, n_steps) > 0 for step in range(n_steps))
    # None after the last: that one would have had 0.
    assert rate("cosine", 1.0, 0.05, n_steps, n_steps) == 0


def test_cosine_rises_then_falls():
    values = [rate("cosine", 1.0, 0.05, step) for step in range(200)]
    top = values.index(max(values))
    assert values[: top + 1] == sorted(values[: top + 1])
    assert values[top:] == sorted(values[top:], reverse=True)
    assert top == 9  # the last step of the warm-up of 5 %


def test_warm_up_of_a_quarter_ends_there():
    rising = 0.5 * (1 + math.cos(math.pi * 24 / 200)) / 2
    assert rate("cosine", 1.0, 0.25, 24) == pytest.approx(rising)
    assert rate("cosine", 1.0, 0.25, 50) == pytest.approx((1 + math.sqrt(0.5)) / 2)


@pytest.mark.parametrize(
    ("step", "kept"),
    [(0, 0.99), (50, 1 - 0.01 * (2 + math.sqrt(2)) / 4), (100, 0.995), (200, 1.0)],
)
def test_decay_of_the_target_rises_along_a_cosine(step, kept):
    config = TrainingConfig(ema_decay=0.99, ema_schedule="cosine")
    assert target_decay(config, step, 200) == pytest.approx(kept, abs=1e-12)
    assert target_decay(TrainingConfig(ema_decay=0.99), step, 200) == 0.99


def test_weights_decay_and_what_shifts_and_scales_does_not(small_config, tmp_path):
    config = small_config(tmp_path, training={"weight_decay": 0.1, "lr": 0.5})
    learner = build.build_learner(config, (-9.6, 3.8))
    optimizer = learner.configure_optimizers()
    assert isinstance(optimizer, torch.optim.AdamW)
    online = learner.pair.online
    for weight in online.parameters():
        weight.grad = torch.zeros_like(weight)
    before = {name: weight.clone() for name, weight in online.named_parameters()}
    optimizer.step()
    for name, weight in online.named_parameters():
        kept = 1 - 0.5 * 0.1 if weight.ndim > 1 else 1.0
        torch.testing.assert_close(weight, kept * before[name], msg=name)


def test_log_scale_is_that_of_corpus_and_views(learner, waveform):
    seen = []
    loss_terms = learner.loss_terms
    learner.loss_terms = lambda *args: (seen.append(args), loss_terms(*args))[1]
    learner.training_step({"waveform": waveform, "step": 0}, 0)
    [(first, second, _, log_scale, _)] = seen
    # Views times the scale are log-mels but for a mean: fader and crop move them little.
    spread = torch.stack([first, second]).std() * log_scale
    assert spread.item() == pytest.approx(learner.log_mel(waveform).std().item(), rel=0.2)
