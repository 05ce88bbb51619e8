"""The installed package, away from the checkout and from all that is optional."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from byola_diff.audio.files import write_wav

REPOSITORY = Path(__file__).parents[1]
CHECKOUT = str(REPOSITORY / "byola_diff") + os.sep
OPTIONAL = (
    *("matplotlib", "sklearn", "scipy", "pandas", "jinja2", "PIL", "transformers", "torchaudio"),
    *("torchcrepe", "scaper", "nnAudio", "pyloudnorm", "jams", "sox", "tensorboard", "onnx"),
    *("onnxscript", "onnxruntime", "beartype", "librosa", "hypothesis", "av", "tinysoundfont"),
    *("webdataset", "braceexpand", "ray", "huggingface_hub", "bokeh"),
)

# Read by Python when it starts: optional packages and the checkout are not to be found.
HIDE = f"""
import importlib.machinery, importlib.metadata
find_spec = importlib.machinery.PathFinder.find_spec
def find_visible(name, path=None, target=None):
    if name.split(".")[0] in {OPTIONAL!r}:
        return None
    spec = find_spec(name, path, target)
    return None if spec and str(spec.origin).startswith({CHECKOUT!r}) else spec
importlib.machinery.PathFinder.find_spec = find_visible
distribution = importlib.metadata.distribution
def visible(name):
    modules = {{"scikit-learn": "sklearn", "pillow": "PIL"}}
    if modules.get(name.lower(), name) in {OPTIONAL!r}:
        raise importlib.metadata.PackageNotFoundError(name)
    return distribution(name)
importlib.metadata.distribution = visible
"""

TINY = (
    *("--config", "procedural", "--training.steps=2", "--training.accelerator=cpu"),
    *("--encoder.name=AudioNTT2020", "--encoder.dim=512", "--training.logger=none"),
    *("--training.projection_hidden=8", "--training.projection_dim=4", "--data.batch_size=4"),
    *("--data.num_workers=0", "--data.statistics_clips=8", "--views.mixup_memory=8"),
)


def pip(*words):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, as the build leaves files beside what it builds."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("wheel")
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("byola_diff", "configs"):
        shutil.copytree(REPOSITORY / name, folder / "source" / name, symlinks=True, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, folder / "source")
    offline = ("--no-deps", "--no-index")
    pip("wheel", *offline, "--no-build-isolation", "-w", folder, folder / "source")
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Runs a command of the installed package in a folder; its process is returned."""
    site = tmp_path_factory.mktemp("site")
    pip("install", "--no-deps", "--no-index", "--no-compile", "--target", site, wheel)
    (site / "sitecustomize.py").write_text(HIDE)
    environment = os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}

    def run(folder, *words):
        command = [sys.executable, site / "bin" / "byola-diff", *words]
        return subprocess.run(
            list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True
        )

    return run


def files_below(*parts):
    folder = REPOSITORY.joinpath(*parts)
    return {str(path.relative_to(REPOSITORY)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_holds_code_and_data_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        [points] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "byola-diff = byola_diff.__main__:main" in archive.read(points).decode()
    expected = {
        name for name in files_below("byola_diff") if not name.endswith((".pyc", ".egg-info"))
    }
    expected |= {f"byola_diff/{name}" for name in files_below("configs")}
    assert names == expected
    assert "byola_diff/py.typed" in names
    assert "byola_diff/configs/pretrain/diff2024.yaml" in names
    assert any(name.startswith("byola_diff/reports/published") for name in names)


@pytest.mark.slow
def test_from_nothing_to_embeddings_in_another_folder(installed, tmp_path):
    def run(*words):
        done = installed(tmp_path, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "make bgknown" in run("--help")
    told = "".join(run("demo", "--help").split())  # long paths are wrapped within a word
    [config] = re.findall(r"pretraining\(default:(\S+/demo\.yaml)\)", told)
    assert Path(config).is_file()
    assert str(REPOSITORY) not in config
    assert "done: " in run("pretrain", *TINY, "--out_dir=run")
    run("export", "run/checkpoints/last.ckpt", "bundle")
    clips = ["file,label,split"]
    for number, split in enumerate(["train", "train", "test"]):
        noise = np.random.default_rng(number).standard_normal(16_000)
        write_wav(tmp_path / f"{number}.wav", 0.1 * noise.astype("float32"), 16_000)
        clips.append(f"{number}.wav,{'ab'[number % 2]},{split}")
    (tmp_path / "clips.csv").write_text("\n".join(clips) + "\n")
    words = ("--encoder", "bundle", "--manifest", "clips.csv")
    assert "3 clips, 0 of them cached" in run("evaluate", "linear", *words, "--dry-run")
    run("evaluate", "embed", *words, "--out", "embeddings.npy")
    embeddings = np.load(tmp_path / "embeddings.npy")
    assert embeddings.shape == (3, 512)
    assert np.isfinite(embeddings).all()
    run("evaluate", "embed", "--encoder", "byola-diff", *words[2:], "--out", "shipped.npy")
    assert np.load(tmp_path / "shipped.npy").shape == (3, 3072)
    # None of it came from the checkout.
    assert str(REPOSITORY) not in (tmp_path / "run" / "run.json").read_text()
