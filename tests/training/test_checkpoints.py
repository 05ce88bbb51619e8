import json
import os
import pickle
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from byola_diff import build
from byola_diff.config import to_plain
from byola_diff.storage import (
    BrokenFileError,
    check_hash,
    hash_file,
    load_checked,
    save_checked,
    sha256,
)
from byola_diff.training.checkpoints import (
    CheckedCheckpointIO,
    KeepCheckpoints,
    StoppedError,
    newest_checkpoint,
    step_file,
)
from byola_diff.training.run_identity import find_checkpoint
from tests.helpers import one_thread
from tests.processes import run

__all__ = ["one_thread"]

# Runs configurations, each in a child that kills itself without warning, inside a step or a save.
KILLED = """
import os, pickle, signal, sys
import torch
from byola_diff import build, storage
from byola_diff.training.run_identity import statistics_of_run
from byola_diff.training.objective import Objective

def dying(function, number, before=lambda *args: None):
    calls = []
    def call(*args, **kwargs):
        calls.append(1)
        if len(calls) == number:
            before(*args)
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call

def run(config, where, number):
    if where == "step":
        Objective.terms = dying(Objective.terms, number)
    else:
        half = lambda state, path: path.write_bytes(b"half a checkpoint")
        storage.torch.save = dying(torch.save, number, half)
    trainer = build.build_trainer(config)
    learner = build.build_learner(config, statistics_of_run(config, None))
    trainer.fit(learner, build.build_clip_module(config))

torch.set_num_threads(1)
for job in pickle.load(open(sys.argv[1], "rb")):
    child = os.fork()
    if child == 0:
        run(*job)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=sys.stderr)
"""

# By where it is killed: number of the call, source, accumulated batches, checkpoint that is left.
# The objective of batch 10 is inside step 5; the second save is that of step 4.
KILLS = {
    "step": (10, "folder", 2, "step_00000004.ckpt"),
    "save": (2, "procedural", 1, "step_00000002.ckpt"),
}


@pytest.fixture(scope="module")
def data_of(sounds, store):
    """Data settings by source; an epoch of the files is two batches."""
    return {
        "procedural": {},
        "folder": {"source": "folder", "root": sounds},
        "packed": {"source": "packed", "root": store},
        "resident": {"source": "resident", "root": store},
    }


@pytest.fixture(scope="module")
def whole_run(small_config, pretrain, data_of, tmp_path_factory):
    """Folder of the uninterrupted run of six steps, each made once."""
    made = {}

    def run(source, accumulate=1):
        if (source, accumulate) not in made:
            folder = tmp_path_factory.mktemp(f"{source}{accumulate}")
            training = {"accumulate": accumulate, "checkpoint_every": 2}
            pretrain(small_config(folder, data=data_of[source], training=training))
            made[source, accumulate] = folder
        return made[source, accumulate]

    return run


@pytest.fixture(scope="module")
def killed_runs(small_config, data_of, tmp_path_factory):
    """Configurations of the killed runs, by where that was."""
    configs = {
        where: small_config(
            tmp_path_factory.mktemp(where),
            data=data_of[source],
            training={"accumulate": accumulate, "checkpoint_every": 2},
        )
        for where, (_, source, accumulate, _) in KILLS.items()
    }
    description = tmp_path_factory.mktemp("jobs") / "jobs.pickle"
    jobs = [(config, where, KILLS[where][0]) for where, config in configs.items()]
    description.write_bytes(pickle.dumps(jobs))
    done = run("-c", KILLED, description)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("-9\n") == len(KILLS), done.stderr
    return configs


@pytest.fixture(scope="module")
def stopped_run(small_config, pretrain, tmp_path_factory):
    """Folder of a run that has stopped after three steps of six."""
    folder = tmp_path_factory.mktemp("stopped")
    pretrain(small_config(folder, training={"steps": 3, "checkpoint_every": 2}))
    return folder


@pytest.fixture
def three_steps(stopped_run, small_config, tmp_path):
    """Configuration to go on with, in a folder that the test may spoil."""
    shutil.copytree(stopped_run, tmp_path, dirs_exist_ok=True)
    return small_config(tmp_path, training={"checkpoint_every": 2})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "accumulate"),
    [
        ("procedural", 1),
        ("procedural", 2),
        ("folder", 1),
        ("folder", 2),
        ("packed", 1),
        ("resident", 1),
    ],
)
def test_resumed_run_is_the_uninterrupted_one(
    source, accumulate, whole_run, small_config, pretrain, data_of, tmp_path, assert_same_training
):
    training = {"accumulate": accumulate, "checkpoint_every": 2}
    part = small_config(tmp_path, data=data_of[source], training=training | {"steps": 3})
    pretrain(part)
    learner = pretrain(small_config(tmp_path, data=data_of[source], training=training), "auto")
    assert learner.trainer.global_step == 6
    assert_same_training(tmp_path, whole_run(source, accumulate))


@pytest.mark.slow
def test_all_sources_of_the_same_clips_train_alike(whole_run, assert_same_training):
    assert_same_training(whole_run("folder"), whole_run("packed"))
    assert_same_training(whole_run("packed"), whole_run("resident"))


@pytest.mark.slow
@pytest.mark.parametrize("where", KILLS)
def test_killed_run_goes_on_as_if_nothing_had_happened(
    where, killed_runs, whole_run, pretrain, assert_same_training
):
    config, (_, source, accumulate, left) = killed_runs[where], KILLS[where]
    folder = config.out_dir / "checkpoints"
    assert newest_checkpoint(folder).name == left
    assert len(list(folder.glob(".*.tmp"))) == (where == "save")
    pretrain(config, "auto")
    assert_same_training(config.out_dir, whole_run(source, accumulate))
    assert not list(folder.glob(".*.tmp"))


@pytest.mark.slow
def test_resume_right_after_a_checkpoint_does_not_save_inside_a_step(
    small_config, pretrain, tmp_path
):
    config = small_config(tmp_path, training={"accumulate": 2, "steps": 3, "keep_checkpoints": 9})
    pretrain(config)
    before = (tmp_path / "checkpoints" / "step_00000003.ckpt").read_bytes()
    pretrain(small_config(tmp_path, training={"accumulate": 2, "keep_checkpoints": 9}), "auto")
    assert (tmp_path / "checkpoints" / "step_00000003.ckpt").read_bytes() == before


def test_resume_of_a_finished_run_changes_nothing(three_steps, pretrain, small_config):
    folder = three_steps.out_dir

    def files():
        return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    before = files()
    config = small_config(folder, training={"steps": 3, "checkpoint_every": 2})
    pretrain(config, "auto")
    after = files()
    told = [json.loads(each.pop("run.json")) for each in (before, after)]
    assert after == before
    assert told[1]["statistics"] == told[0]["statistics"]
    assert told[1]["config"] == to_plain(config)  # the folder is another one by now


def test_resume_gets_the_batches_that_are_left(three_steps, pretrain, monkeypatch):
    seen = []
    step_of = build.Learner.training_step
    monkeypatch.setattr(
        build.Learner,
        "training_step",
        lambda self, batch, index: seen.append(batch["step"]) or step_of(self, batch, index),
    )
    pretrain(three_steps, "auto")
    assert seen == [3, 4, 5]


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage", ["truncated", "hash missing", "hash of another file", "hash empty"]
)
def test_broken_newest_checkpoint_is_skipped(damage, three_steps, pretrain, capsys):
    newest = three_steps.out_dir / "checkpoints" / "step_00000003.ckpt"
    if damage == "truncated":
        newest.write_bytes(newest.read_bytes()[:1000])
    elif damage == "hash missing":
        hash_file(newest).unlink()
    elif damage == "hash empty":
        hash_file(newest).write_text("")
    else:
        hash_file(newest).write_text(f"{'0' * 64}  {newest.name}\n")
    found = find_checkpoint(three_steps, "auto")
    assert found.name == "step_00000002.ckpt"
    told = capsys.readouterr().out
    assert str(newest) in told
    assert "broken" in told
    assert "resuming" not in told
    assert ("missing" if damage == "hash missing" else "SHA-256") in told
    pretrain(three_steps, "auto")
    check_hash(three_steps.out_dir / "checkpoints" / "last.ckpt")


def test_no_whole_checkpoint_is_an_error(tmp_path, small_config):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "step_00000001.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(BrokenFileError, match="none of the checkpoints is whole"):
        find_checkpoint(small_config(tmp_path), "auto")


def test_last_checkpoint_does_where_those_of_steps_are_gone(three_steps):
    folder = three_steps.out_dir / "checkpoints"
    for path in folder.glob("step_*.ckpt"):
        hash_file(path).unlink()
    assert newest_checkpoint(folder).name == "last.ckpt"
    for path in folder.glob("step_*.ckpt"):
        path.unlink()
    assert newest_checkpoint(folder).name == "last.ckpt"
    hash_file(folder / "last.ckpt").unlink()
    with pytest.raises(BrokenFileError, match="none of the checkpoints is whole"):
        newest_checkpoint(folder)


def test_no_run_goes_on_from_before_the_newest_of_its_folder(three_steps, tmp_path):
    folder = three_steps.out_dir / "checkpoints"
    older, newest = folder / "step_00000002.ckpt", folder / "step_00000003.ckpt"
    with pytest.raises(FileExistsError, match=r"is of step 2, and .* holds step_00000003.ckpt"):
        find_checkpoint(three_steps, str(older))
    assert find_checkpoint(three_steps, str(newest)) == newest
    elsewhere = replace(three_steps, out_dir=tmp_path / "other")
    assert find_checkpoint(elsewhere, str(older)) == older


def test_broken_checkpoints_of_later_steps_are_not_counted(tmp_path):
    for step in (1, 2, 3):
        save_checked({"step": step}, tmp_path / step_file(step))
    (tmp_path / step_file(9)).write_bytes(b"half a checkpoint")
    KeepCheckpoints(tmp_path, every=1, keep=2)._make_last(tmp_path / step_file(3))
    names = ["last.ckpt", *map(step_file, (2, 3, 9))]
    assert sorted(path.name for path in tmp_path.glob("*.ckpt")) == names
    assert load_checked(tmp_path / "last.ckpt") == {"step": 3}


def test_new_run_does_not_overwrite(three_steps):
    with pytest.raises(FileExistsError, match=r"--resume auto, or choose another --out_dir"):
        find_checkpoint(three_steps, "no")


def test_content_is_tensors_and_plain_values(three_steps):
    path = three_steps.out_dir / "checkpoints" / "last.ckpt"
    state = torch.load(path, weights_only=True)
    assert state["global_step"] == 3
    assert state["config"]["training"]["steps"] == 3
    weights = state["state_dict"]
    assert {"pair.online", "pair.target", "pair.predictor", "make_views.mixup"} <= {
        ".".join(name.split(".")[:2]) for name in weights
    }
    assert {"normalize.mean", "normalize.std"} <= weights.keys()
    assert weights["make_views.mixup.memory._extra_state"] == 12
    assert state["optimizer_states"][0]["state"]


@pytest.mark.slow
def test_last_is_the_newest_and_the_rest_is_kept(small_config, pretrain, tmp_path):
    pretrain(small_config(tmp_path, training={"checkpoint_every": 1, "keep_checkpoints": 2}))
    folder = tmp_path / "checkpoints"
    names = ["last.ckpt", "step_00000005.ckpt", "step_00000006.ckpt"]
    assert sorted(p.name for p in folder.glob("*.ckpt")) == names
    assert sorted(p.name for p in folder.glob("*.sha256")) == [f"{name}.sha256" for name in names]
    for name in names:
        check_hash(folder / name)
    assert (folder / names[0]).read_bytes() == (folder / names[2]).read_bytes()


class Attack:
    """Creates a file when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_hostile_checkpoint_is_refused_without_running(three_steps, pretrain, tmp_path):
    path, harm = tmp_path / "hostile.ckpt", tmp_path / "harm"
    torch.save({"state_dict": Attack(harm)}, path)
    hash_file(path).write_text(f"{sha256(path)}  {path.name}\n")
    with pytest.raises(BrokenFileError, match=r"hostile\.ckpt: not a file of plain tensors"):
        pretrain(three_steps, str(path))
    assert not harm.exists()


def test_full_disk_leaves_nothing_under_a_final_name(small_config, pretrain, tmp_path, monkeypatch):
    def save(state, path):
        Path(path).write_bytes(b"half of")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(OSError, match="No space left"):
        pretrain(small_config(tmp_path, training={"steps": 1}))
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_older_checkpoint_survives_a_failing_save(three_steps, pretrain, monkeypatch):
    def save(state, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(OSError, match="No space left"):
        pretrain(three_steps, "auto")
    newest = newest_checkpoint(three_steps.out_dir / "checkpoints")
    assert load_checked(newest)["global_step"] == 3


def test_removing_takes_the_hash_along(three_steps):
    path = three_steps.out_dir / "checkpoints" / "last.ckpt"
    CheckedCheckpointIO().remove_checkpoint(path)
    assert not path.exists()
    assert not hash_file(path).exists()


@pytest.fixture
def press(monkeypatch):
    """Press Ctrl-C, or send another signal, in the given calls of the training step."""

    def at(*calls, number=signal.SIGINT):
        step_of, left = build.Learner.training_step, list(range(1, 100))

        def step(self, batch, index):
            if left.pop(0) in calls:
                os.kill(os.getpid(), number)
            return step_of(self, batch, index)

        monkeypatch.setattr(build.Learner, "training_step", step)

    return at


@pytest.mark.slow
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


def test_sigterm_ends_with_a_finished_step_however_often_it_comes(
    press, small_config, pretrain, tmp_path
):
    before = signal.getsignal(signal.SIGTERM)
    press(1, 2, number=signal.SIGTERM)
    with pytest.raises(StoppedError, match=r"after step 1; .* --resume auto") as stop:
        pretrain(small_config(tmp_path, training={"accumulate": 2, "steps": 4}))
    assert stop.value.signal_number == signal.SIGTERM
    assert newest_checkpoint(tmp_path / "checkpoints").name == "step_00000001.ckpt"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_full_disk_that_torch_does_not_name_is_named(tmp_path, monkeypatch):
    def save(state, path):
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 768 vs 662")

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(OSError, match=r"disk may be full: '.*a\.ckpt'"):
        save_checked({}, tmp_path / "a.ckpt")


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
