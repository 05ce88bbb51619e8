import csv
import os
import signal
from pathlib import Path

import pytest

# Else commands under test would take fewer threads, and say so, whenever tests keep the cores busy.
os.environ["BYOLA_DIFF_FIXED_THREADS"] = "1"

# What takes seconds to import is imported by the fixtures: the process that only hands out the
# tests reads this file too, before the others start.
SMALL = {
    "data": {
        "source": "procedural",
        "unit_s": 0.32,
        "batch_size": 4,
        "num_workers": 0,
        "statistics_clips": 16,
    },
    "views": {"mixup_memory": 8},
    "encoder": {"name": "AudioNTT2020", "dim": 512},
    "objective": {},
    "monitor": {},
    "training": {
        "steps": 6,
        "projection_hidden": 32,
        "projection_dim": 16,
        "accelerator": "cpu",
        "precision": "float32",
        "log_every": 1,
        "checkpoint_every": 3,
        "logger": "none",
    },
}


@pytest.fixture(scope="session", autouse=True)
def processes_that_can_be_interrupted():
    """Processes started by tests take Ctrl-C, even if this one was started in the background."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def few_sounds_in_statistics():
    """Encoders without statistics take those of 50 procedural sounds instead of 1000."""
    from byola_diff.encoders import byola

    before, byola._STATISTICS_CLIPS = byola._STATISTICS_CLIPS, 50
    yield
    byola._STATISTICS_CLIPS = before


@pytest.fixture(scope="session", autouse=True)
def encoders_of_tests_by_their_file():
    """The code of an encoder that a test defines is its file, not the whole package `tests`."""
    from byola_diff.encoders import code_of_user, content_hash
    from byola_diff.storage import sha256

    def digest(module):
        path = Path(__file__).parents[1].joinpath(*module.split(".")).with_suffix(".py")
        return sha256(path) if path.is_file() else code_of_user.code_digest_of_user(module)

    content_hash.code_digest_of_user = digest
    yield
    content_hash.code_digest_of_user = code_of_user.code_digest_of_user


@pytest.fixture(scope="session")
def small_config():
    """Configuration of a run of a second: `small_config(out_dir, training={"steps": 3})`."""

    from byola_diff import config

    kinds = {
        "data": config.DataConfig,
        "views": config.ViewsConfig,
        "encoder": config.EncoderConfig,
        "objective": config.ObjectiveConfig,
        "monitor": config.MonitorConfig,
        "training": config.TrainingConfig,
    }

    def make(out_dir, seed=42, **changes):
        parts = {name: kinds[name](**(SMALL[name] | changes.get(name, {}))) for name in SMALL}
        return config.PretrainConfig(out_dir=out_dir, seed=seed, **parts)

    return make


@pytest.fixture(scope="session")
def pretrain():
    """The run of a configuration in this process; returns the learner."""
    from byola_diff import build
    from byola_diff.training import run_identity

    def run(config, resume="no"):
        checkpoint = run_identity.find_checkpoint(config, resume)
        trainer = build.build_trainer(config, resumed=checkpoint is not None)
        identity = run_identity.identity_of_run(config)
        if checkpoint:
            run_identity.check_resumed(config, checkpoint, identity)
        statistics = run_identity.statistics_of_run(config, checkpoint, identity)
        learner = build.build_learner(config, statistics, identity)
        trainer.fit(learner, build.build_clip_module(config), ckpt_path=checkpoint)
        return learner

    return run


@pytest.fixture(scope="session")
def assert_same_training():
    """Check that two runs ended with the same bits, and had the same losses on the way."""
    import torch

    from byola_diff.storage import load_checked

    def check(folder, other):
        ends = [load_checked(run / "checkpoints" / "last.ckpt") for run in (folder, other)]
        for key in ("state_dict", "optimizer_states", "global_step"):
            found, expected = (list(_leaves(end[key])) for end in ends)
            assert [name for name, _ in found] == [name for name, _ in expected]
            for (name, value), (_, wanted) in zip(found, expected, strict=True):
                same = torch.equal(value, wanted) if torch.is_tensor(value) else value == wanted
                assert same, f"{key}{name} differs"
        assert losses(folder) == losses(other)

    return check


def _leaves(value, name=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{name}.{number}")
    else:
        yield name, value


def losses(folder):
    """Step and losses of every row of the log, as text."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = csv.DictReader(file)
        names = ("step", "loss/total", "loss/byol", "loss/difference", "collapse/spread")
        return [tuple(row[name] for name in names) for row in rows]


@pytest.fixture(scope="session")
def sounds(tmp_path_factory):
    """Ten short files at 16 kHz, some shorter than a training clip."""
    import numpy as np
    import soundfile

    folder = tmp_path_factory.mktemp("sounds")
    for number in range(10):
        noise = np.random.default_rng(number).standard_normal(3000 + 700 * number)
        soundfile.write(folder / f"{number}.wav", 0.02 * (number + 1) * noise, 16_000)
    return folder


@pytest.fixture(scope="session")
def store(sounds, tmp_path_factory):
    """The same files as a packed store."""
    from tests.store.store_maker import pack

    out = tmp_path_factory.mktemp("packed") / "store"
    pack(sounds, out)
    return out
