import json
import pickle
import socket

import pytest
import torch

from byola_diff import build
from byola_diff.audio.normalize import normalize_views
from byola_diff.audio.waveform import as_waveform
from byola_diff.clips.open import open_source
from byola_diff.clips.stored import WHOLE, Part
from byola_diff.models.pair import update_target
from byola_diff.randomness import derive_seed, torch_generator
from byola_diff.storage import load_checked
from byola_diff.training.clip_module import StepBatches
from byola_diff.training.run_identity import statistics_of_run
from tests.helpers import normal_noise, one_thread
from tests.processes import run

__all__ = ["one_thread"]

pytestmark = pytest.mark.slow

# Two gloo processes, forked for speed, run each configuration through Lightning as the launcher
# would have it, and note what each of them saw.
TWO_PROCESSES = """
import os, pickle, sys, warnings
import pytorch_lightning as pl
import torch
from byola_diff import build
from byola_diff.training import run_identity
from byola_diff.training.progress import hide_lightning_noise
from byola_diff.training.views import ViewMaker

class Note(pl.Callback):
    def __init__(self):
        self.losses, self.gradients = [], []
    def on_before_optimizer_step(self, trainer, learner, optimizer):
        weights = learner.pair.named_parameters()
        self.gradients.append({n: w.grad.clone() for n, w in weights if w.requires_grad})
    def on_train_batch_end(self, trainer, learner, outputs, batch, index):
        self.losses.append(outputs["total"])

def shared_views(trainer):
    # Of this process's half of a batch, normalised with the other half.
    batch, rank = torch.load(sys.argv[2]), trainer.global_rank
    make_views = ViewMaker(16, 24, mixup_share=0.0, fader_gain=0.0, synchronized=True)
    make_views.crop.forward = lambda log_mel, generator: log_mel
    return make_views(batch[3 * rank : 3 * rank + 3], torch.Generator())[:2]

def run(config, resume, notes):
    checkpoint = run_identity.find_checkpoint(config, resume)
    trainer = build.build_trainer(config)
    identity = run_identity.identity_of_run(config)
    if checkpoint:
        run_identity.check_resumed(config, checkpoint, identity)
    statistics = run_identity.statistics_of_run(config, checkpoint, identity)
    note = Note()
    trainer.callbacks.append(note)
    learner = build.build_learner(config, statistics, identity)
    trainer.fit(learner, build.build_clip_module(config), ckpt_path=checkpoint)
    if notes:
        seen = {"losses": note.losses, "gradients": note.gradients, "end": learner.state_dict()}
        seen |= {"computed": statistics, "identity": identity, "views": shared_views(trainer)}
        torch.save(seen, config.out_dir / f"rank{trainer.global_rank}.pt")

jobs, rank_zero_environment = pickle.load(open(sys.argv[1], "rb"))
torch.set_num_threads(1)
children = []
for rank in range(2):
    child = os.fork()
    if child == 0:
        warnings.simplefilter("error")
        hide_lightning_noise()
        warnings.filterwarnings("ignore", message=".*LeafSpec")
        os.environ.update(rank_zero_environment, RANK=str(rank), LOCAL_RANK=str(rank))
        try:
            for job in jobs:
                run(*job)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        torch.distributed.destroy_process_group()
        os._exit(0)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
sys.exit(max(map(abs, codes)))
"""


@pytest.fixture(scope="module")
def configs(small_config, store, tmp_path_factory):
    """Runs of two processes: both objectives, a store divided between them, compiled passes."""

    def make(name, weight, data=None, **training):
        return small_config(
            tmp_path_factory.mktemp(name),
            data=data or {"source": "packed", "root": store},
            objective={"difference_weight": weight},
            training={"devices": 2, "steps": 2} | training,
        )

    split = {"source": "resident", "root": store, "resident_split": True}
    return {
        "plain": make("plain", 0.0),
        "difference": make("difference", 0.5),
        "split": make("split", 0.5, split),
        "compiled": make("compiled", 0.5, compile=True),
    }


@pytest.fixture(scope="module")
def resumed(small_config, configs, tmp_path_factory):
    """The run with the difference term in two parts: configurations of both."""
    folder, whole = tmp_path_factory.mktemp("resumed"), configs["difference"]
    settings = {"data": vars(whole.data), "objective": vars(whole.objective)}
    return [
        small_config(folder, training={"devices": 2, "steps": steps}, **settings)
        for steps in (1, 2)
    ]


@pytest.fixture(scope="module")
def seen(configs, resumed, tmp_path_factory):
    """What each process saw, by run: losses and gradients by step, and its state at the end."""
    jobs = [(config, "no", True) for config in configs.values()]
    jobs += [(resumed[0], "no", False), (resumed[1], "auto", True)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "GROUP_RANK": "0",
        "TORCHELASTIC_RUN_ID": "test",
    }
    description = tmp_path_factory.mktemp("jobs") / "jobs.pickle"
    description.write_bytes(pickle.dumps((jobs, environment)))
    batch = description.with_name("batch.pt")
    torch.save(joint_batch(), batch)
    done = run("-c", TWO_PROCESSES, description, batch)
    assert done.returncode == 0, done.stderr
    folders = {name: config.out_dir for name, config in configs.items()}
    return {
        name: [torch.load(folder / f"rank{rank}.pt") for rank in range(2)]
        for name, folder in (folders | {"resumed": resumed[1].out_dir}).items()
    }


def joint_batch():
    """Six clips, of which the second three, and those of the second process, are louder."""
    return normal_noise(6, 1, 16, 24) + torch.tensor([0, 1, 2, 6, 9, 12]).reshape(6, 1, 1, 1)


class OneProcess:
    """The definition: two learners with the same weights, each with half the batch and its draws.

    The loss is the mean of their losses; batch statistics, the shift within the batch and the mixup
    memory are each learner's own.
    """

    def __init__(self, config):
        self.config = config
        statistics = statistics_of_run(config, None)
        self.learners = [build.build_learner(config, statistics) for _ in range(2)]
        self.optimizers = [learner.configure_optimizers() for learner in self.learners]

    def step(self, number):
        """Losses of both halves, and the gradient of their mean; then all weights move."""
        losses = [self._loss(rank, number) for rank in range(2)]
        for loss in losses:
            (loss / 2).backward()
        halves = [dict(learner.pair.named_parameters()) for learner in self.learners]
        gradient = {
            name: weight.grad + halves[1][name].grad
            for name, weight in halves[0].items()
            if weight.requires_grad
        }
        for half, optimizer, learner in zip(halves, self.optimizers, self.learners, strict=True):
            for name, value in gradient.items():
                half[name].grad = value.clone()
            optimizer.step()
            optimizer.zero_grad()
            update_target(learner.pair.online, learner.pair.target, learner.ema_decay)
        return [loss.item() for loss in losses], gradient

    def _loss(self, rank, number):
        learner, seed = self.learners[rank], self.config.seed
        part = Part(rank, 2) if self.config.data.resident_split else WHOLE
        source = open_source(self.config, "cpu", part=part)
        batch = StepBatches(source, seed, self.config.data.batch_size, rank, 2)[number]
        torch.manual_seed(derive_seed(seed, "dropout", number, rank))
        with torch.no_grad():
            log_mel = learner.normalize(learner.log_mel(as_waveform(batch["waveform"])))
            views = learner.make_views(log_mel, torch_generator(seed, "views", number, rank))
        rates = torch_generator(seed, "rates", number, rank)
        return learner.loss_terms(*views[:2], rates)["total"]


@pytest.mark.parametrize("name", ["plain", "difference", "split"])
def test_two_processes_compute_what_one_does(name, configs, seen):
    expected = OneProcess(configs[name])
    for number in range(2):
        losses, gradient = expected.step(number)
        for rank in range(2):
            assert seen[name][rank]["losses"][number].item() == pytest.approx(
                losses[rank], abs=1e-6
            )
            found = seen[name][rank]["gradients"][number]
            assert found.keys() == gradient.keys()
            for key, value in gradient.items():
                torch.testing.assert_close(found[key], value, rtol=0, atol=1e-6, msg=key)
    assert losses[0] != losses[1]
    for rank, learner in enumerate(expected.learners):
        for key, value in learner.state_dict().items():
            found = seen[name][rank]["end"][key]
            if key.endswith("_extra_state"):
                assert found == value
            else:
                torch.testing.assert_close(found, value, rtol=0, atol=1e-5, msg=key)


@pytest.mark.parametrize("name", ["plain", "difference"])
def test_weights_are_equal_on_both_ranks_and_buffers_are_not(name, seen):
    first, second = (rank["end"] for rank in seen[name])
    weights = [key for key in first if key.startswith("pair.") and not _is_buffer(key)]
    assert any(key.startswith("pair.target.") for key in weights)
    for key in weights:
        assert torch.equal(first[key], second[key]), key
    buffers = [key for key in first if key.endswith(("running_mean", "memory.clips"))]
    assert len(buffers) > 1
    for key in buffers:
        assert not torch.equal(first[key], second[key]), key


def _is_buffer(key):
    return key.endswith(("running_mean", "running_var", "num_batches_tracked"))


def test_compiled_processes_train_together(seen):
    """Other masks of dropout are drawn than without, so that losses are near each other alone."""
    for rank in range(2):
        found, plain = (
            torch.stack(seen[name][rank]["losses"]) for name in ("compiled", "difference")
        )
        torch.testing.assert_close(found, plain, rtol=0, atol=0.4)
        assert not torch.equal(found, plain)
    first, second = (rank["gradients"][-1] for rank in seen["compiled"])
    for key, value in first.items():
        assert torch.equal(second[key], value), key


def test_resumed_run_of_two_processes_is_the_uninterrupted_one(
    configs, resumed, seen, assert_same_training
):
    assert_same_training(resumed[1].out_dir, configs["difference"].out_dir)
    for rank in range(2):
        whole, part = seen["difference"][rank], seen["resumed"][rank]
        assert torch.equal(part["losses"][0], whole["losses"][1])
        for key in [key for key in whole["end"] if not _is_buffer(key)]:
            found, expected = part["end"][key], whole["end"][key]
            assert found == expected if key.endswith("_extra_state") else found.equal(expected), key


def test_checkpoint_holds_the_mixup_memory_of_every_process(configs, seen):
    state = load_checked(configs["difference"].out_dir / "checkpoints" / "last.ckpt")
    for rank, memory in enumerate(state["mixup_memories"]):
        assert torch.equal(memory, seen["difference"][rank]["end"]["make_views.mixup.memory.clips"])


def test_views_of_two_processes_are_those_of_one_with_the_joint_batch(seen):
    batch = joint_batch()
    for which, expected in enumerate(normalize_views(batch, batch)[:2]):
        halves = [rank["views"][which] for rank in seen["plain"]]
        torch.testing.assert_close(torch.cat(halves), expected, rtol=0, atol=1e-6)
    assert halves[0].mean() < -0.5 < 0.5 < halves[1].mean()


def test_the_first_process_gives_the_statistics_to_the_others(configs, seen):
    first, second = seen["plain"]
    facts = json.loads((configs["plain"].out_dir / "run.json").read_text())
    assert second["computed"] == (0.0, 1.0)
    assert tuple(facts["statistics"].values()) == first["computed"] != (0.0, 1.0)
    for name, value in zip(("mean", "std"), first["computed"], strict=True):
        for rank in (first, second):
            assert rank["end"][f"normalize.{name}"].item() == pytest.approx(value, rel=1e-6)
    assert second["identity"] == {}
    assert facts["identity"] == first["identity"]
    assert first["identity"]["processes"] == 2
