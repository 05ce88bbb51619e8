"""The core dependencies do what needs no extra, and each extra alone what it is for.

Each in an environment that has what it requires, and nothing else. MTEB is tried in tests/adapters,
where it is installed, and the extra `docs` by test_site.py.
"""

import shlex
import tarfile
from importlib.metadata import metadata

import pytest

from byola_diff.commands.needs import _APART, NEEDS
from tests.environments import PACKAGE, Environment
from tests.models.hub_server import Hub, serving

pytestmark = pytest.mark.slow

SMALL = (
    "--config procedural --data.batch_size 4 --data.statistics_clips 8 --views.mixup_memory 8 "
    "--encoder.name AudioNTT2020 --encoder.dim 32 --training.projection_hidden 16 "
    "--training.steps 1 --training.accelerator cpu"
)
CHECKPOINT, BUNDLE = "runs/core/checkpoints/last.ckpt", "runs/core/bundle"
LABELLED = f"--encoder {BUNDLE} --manifest sounds/manifest.csv"
# In this order: the first make what the others, and the extras, take.
CORE = [
    f"pretrain {SMALL} --out_dir runs/core",
    f"export {CHECKPOINT} {BUNDLE}",
    f"deploy {BUNDLE} encoder.pt2",
    "make sounds sounds --clips 40 --duration-s 1 --test-share 0.4",
    "prepare clips sounds packed --sample-rate 16000",
    f"pretrain {SMALL} --data.source packed --data.root packed --out_dir runs/packed",
    f"evaluate embed {LABELLED} --out embeddings.npy",
    "doctor",
]
EXTRAS = {
    "nnaudio": [f"pretrain {SMALL} --front_end.backend nnaudio --out_dir runs/nnaudio"],
    "evaluate": [
        f"evaluate linear {LABELLED} --protocol logistic --out scores",
        "evaluate report scores --out report.html",
        f"evaluate additivity --encoder {BUNDLE} --events 10 --polyphony-clips 0 --seeds 0 "
        "--snr-db 0 10 --duration-s 1 --out additivity",
    ],
    "generate": [
        "make bgknown --esc50 procedural --background procedural --out bgknown "
        "--clips-per-label 5 --limit 10 --sample-rate 16000 --renderer mixer"
    ],
    "explore": [f"explore sounds --encoder {BUNDLE} --out sounds.html"],
    "hub": [f"push {BUNDLE} me/mine"],
    "shards": [
        f"pretrain {SMALL} --data.source shards --data.root tars --data.num_workers 0 "
        "--out_dir runs/shards"
    ],
    "log": [f"pretrain {SMALL} --training.logger tensorboard --out_dir runs/log"],
    "wandb": [f"pretrain {SMALL} --training.logger wandb --out_dir runs/wandb"],
    "mlflow": [f"pretrain {SMALL} --training.logger mlflow --out_dir runs/mlflow"],
    "onnx": [f"deploy {BUNDLE} encoder.onnx", f"export {CHECKPOINT} runs/other --onnx"],
}
ONLY_IMPORTED = ["decode", "corpus", "cluster", "parquet"]
"""What commands import of these is imported, but no command run."""


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    return Environment(tmp_path_factory.mktemp("core"))


@pytest.fixture(scope="module")
def made(core, tmp_path_factory):
    """A folder with a run, a bundle, sounds, and tar files of them."""
    folder = tmp_path_factory.mktemp("made")
    for command in CORE:
        check(core.run(*shlex.split(command), cwd=folder))
    (folder / "tars").mkdir()
    with tarfile.open(folder / "tars" / "part-0.tar", "w") as tar:
        for path in sorted((folder / "sounds").rglob("*.wav")):
            tar.add(path, path.name)
    return folder


@pytest.fixture(scope="module")
def online():
    """What leads commands to a hub on this machine, and keeps them off all else."""
    with serving() as hub:
        yield {
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": Hub.TOKEN,
            "HF_HUB_DISABLE_XET": "1",  # another protocol of large files, which this hub has not
            "WANDB_MODE": "offline",
        }


def check(done):
    assert done.returncode == 0, f"{done.args}\n{done.stdout}"
    return done.stdout


def modules(extra):
    """What commands import of an extra."""
    needed = {need.module for needs in NEEDS.values() for need in needs if need.extra == extra}
    return sorted(needed - _APART.keys())


def test_every_extra_is_tried():
    elsewhere = {"mteb", "docs", "dev"}
    assert {*EXTRAS, *ONLY_IMPORTED, *elsewhere} == {*metadata(PACKAGE).get_all("Provides-Extra")}


@pytest.mark.parametrize("extra", EXTRAS)
def test_without_an_extra_its_command_names_it(core, made, online, extra):
    done = core.run(*shlex.split(EXTRAS[extra][0]), cwd=made, **online)
    assert done.returncode in (1, 2), done.stdout
    assert f"pip install 'byola-diff[{extra}]'" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize("extra", [*EXTRAS, *ONLY_IMPORTED])
def test_an_extra_is_enough_for_what_it_names(made, online, tmp_path, extra):
    environment = Environment(tmp_path / "environment", extra)
    assert modules(extra)
    imports = f"from importlib import import_module\nlist(map(import_module, {modules(extra)!r}))"
    check(environment.execute("-c", imports, cwd=made))
    for command in EXTRAS.get(extra, ()):
        check(environment.run(*shlex.split(command), cwd=made, **online))
