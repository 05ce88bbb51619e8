"""The GPU run, rehearsed on a CPU: every phase, on a machine that has little installed."""

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from byola_diff import load_encoder

REPOSITORY = Path(__file__).parents[2]
ABSENT = ("soxr", "scipy", "matplotlib", "sklearn", "beartype", "nnAudio")

# Read by Python when it starts: these packages are not to be found, whoever asks.
HIDE = f"""
import functools, importlib.machinery, importlib.metadata
ABSENT = {ABSENT!r}
find_spec = importlib.machinery.PathFinder.find_spec
def find_visible(name, path=None, target=None):
    return None if name.split(".")[0] in ABSENT else find_spec(name, path, target)
importlib.machinery.PathFinder.find_spec = functools.partial(find_visible)
distribution = importlib.metadata.distribution
def visible(name):
    if name.replace("scikit-learn", "sklearn") in ABSENT:
        raise importlib.metadata.PackageNotFoundError(name)
    return distribution(name)
importlib.metadata.distribution = visible
"""


@pytest.fixture
def corpus(tmp_path):
    """A dozen clips to train on, and four labelled ones."""
    folder = tmp_path / "corpus"
    (folder / "clips").mkdir(parents=True)
    (folder / "labelled").mkdir()
    rows = ["file,label,split"]
    for number in range(16):
        samples = 0.1 * np.random.default_rng(number).standard_normal(12_000 + 1000 * number)
        labelled = number >= 12
        name = f"{'labelled' if labelled else 'clips'}/{number}.ogg"
        soundfile.write(folder / name, samples, 16_000)
        if labelled:
            split = "train" if number < 14 else "test"
            rows.append(f"{number}.ogg,{'ab'[number % 2]},{split}")
    (folder / "labelled" / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def command(corpus, tmp_path):
    """Arguments and environment of the dry run."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "sitecustomize.py").write_text(HIDE)
    path = str(tmp_path / "hidden")
    script = str(REPOSITORY / "benchmarks" / "gpu_run.py")
    words = [sys.executable, script, "--device", "cpu", "--minutes", "0.5"]
    words += ["--corpus", str(corpus), "--out", str(tmp_path / "out")]
    return words, os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_every_phase_leaves_its_figures(command, tmp_path):
    words, environment = command
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("not installed: soxr")
    out = tmp_path / "out"
    found = {path.stem: json.loads(path.read_text()) for path in out.glob("*.json")}
    assert found.keys() == {"facts", "steps", "corpus", "pretrain"}, done.stdout + done.stderr
    # A busy machine may not come to all of them in a minute.
    assert re.match(r"\d+ passed, 0 failed", found["facts"]["tests"])
    assert found["steps"]["steps"][0]["batch"] == 4  # a busy machine may not come to the others
    assert all(row["clips_per_s"] > 0 for row in found["steps"]["steps"])
    assert len(found["steps"]["profiles"]["0.5"]["table"]) > 30
    assert found["corpus"]["corpus"]["clips"] == 12
    assert found["corpus"]["procedural"]["clips"] in (16, 32, 48, 64)  # as many as time allows
    assert found["pretrain"].keys() == {"weight_0.5", "weight_0"}
    for name, run in found["pretrain"].items():
        assert run["scores"].keys() == {"half", "end"}
        assert run["files"] == [f"{name}_half.tar", f"{name}_end.tar"]
        with tarfile.open(out / f"{name}_end.tar") as archive:
            archive.extractall(tmp_path / "bundles", filter="data")
        bundle = tmp_path / "bundles" / f"{name}_end"
        assert len((bundle / "metrics.csv").read_text().splitlines()) == 1 + run["steps"]
        assert load_encoder(bundle).scene(torch.zeros(1, 16_000)).shape == (1, 3072)
    sizes = [path.stat().st_size for path in out.iterdir()]
    assert len(sizes) == 8
    assert max(sizes) < 15 * 2**20


def test_what_is_missing_is_said_in_the_first_second(command, tmp_path):
    words, environment = command
    words = [*words[:2], "--minutes", "1", "--corpus", str(tmp_path / "nowhere"), *words[-2:]]
    start = time.monotonic()
    done = subprocess.run(words, env=environment | {"PATH": ""}, capture_output=True, text=True)
    assert time.monotonic() - start < 5  # a second on a quiet machine
    assert done.returncode == 2
    assert f"missing: the corpus {tmp_path / 'nowhere'}, a GPU" in done.stderr
    assert "gpu_requirements.txt" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_stop_leaves_what_is_there_and_no_process(command, tmp_path):
    words, environment = command
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
    facts = tmp_path / "out" / "facts.json"
    end = time.monotonic() + 60
    while not facts.exists() and time.monotonic() < end:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopped: what there is" in printed
    assert "tests: none" in printed
    assert json.loads(facts.read_text())["cores"] >= 1


def test_labelled_clips_that_can_not_be_used_are_told_and_not_waited_for(
    corpus, tmp_path, monkeypatch, capsys
):
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    from gpu_phase_pretrain import WriteEncoders, config_of

    config = config_of(0.5, 10.0, "cpu", tmp_path, "run")
    options = SimpleNamespace(corpus=corpus, commit="none")
    sound = WriteEncoders(config, "run", options)
    assert sound.score is not None
    assert sound.figures["scores"] == {}
    (corpus / "labelled" / "13.ogg").write_bytes(b"no sound")
    faulty = WriteEncoders(config, "run", options)
    assert faulty.score is None
    assert "13.ogg" in faulty.figures["scores"]["fault"]
    assert "run goes on without a score: UnreadableClipsError" in capsys.readouterr().out
    (corpus / "labelled" / "manifest.csv").write_text("file,label\n")
    assert "Error" in WriteEncoders(config, "run", options).figures["scores"]["fault"]


def test_settings_of_a_run_are_given_by_name(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    from gpu_phase_pretrain import config_of, with_settings

    config = config_of(0.5, 60, "cpu", tmp_path, "weight_0.5")
    words = ["encoder.name=AudioNTT2020", "encoder.dim=512", "objective.rate_range=[0.2, 0.8]"]
    changed = with_settings(config, words)
    assert (changed.encoder.name, changed.encoder.dim) == ("AudioNTT2020", 512)
    assert tuple(changed.objective.rate_range) == (0.2, 0.8)
    assert changed.objective.difference_weight == 0.5
    assert with_settings(config, []) == config
    for wrong in ("encoder.width=3", "nothing.dim=3", "seed=3"):
        with pytest.raises(ValueError, match="no setting of a pretraining run"):
            with_settings(config, [wrong])


def test_steps_are_measured_in_all_ways_the_quick_ones_first(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    from gpu_phase_steps import PLAIN, cases

    found = cases("cuda")
    assert len(found) == 2 * 2 * 4 + 2 * 2
    assert [way for way, *_ in found[:4]] == [PLAIN] * 4
    assert [size for _, *size in found[:4]] == [[1024, 0.5], [1024, 0.0], [256, 0.5], [256, 0.0]]
    assert not any(way["compile"] for way, *_ in found[:8])
    assert all(way["compile"] for way, *_ in found[8:16])
    assert [way for way, *_ in found[16:]] == [PLAIN] * 4
    assert [batch for _, batch, _ in cases("cpu")] == [4, 4, 2, 2]


def test_pretraining_takes_the_way_that_was_measured_as_fastest(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    from gpu_phase_pretrain import config_of, fastest_settings, with_settings

    def row(batch, weight, ways="", speed=None, loss=4.0, **figures):
        row = {"batch": batch, "weight": weight, **figures}
        row |= {name: name in ways for name in ("compile", "cuda_graphs")}
        return row | ({"clips_per_s": speed, "first_losses": [4.1, loss]} if speed else {})

    def found(batch, weight, *settings):
        config = config_of(weight, 10.0, "cpu", tmp_path, "run")
        config = with_settings(config, [f"data.batch_size={batch}", *settings])
        return fastest_settings(steps, config)

    steps = tmp_path / "steps.json"
    both = ["training.compile=true", "training.cuda_graphs=true"]
    assert found(8, 0.5) == []
    rows = [
        row(8, 0.5, speed=10.0),
        row(8, 0.5, "compile", 11.0),
        row(8, 0.5, "compile cuda_graphs", 12.0, 4.05),
        row(8, 0.5, "cuda_graphs", 13.0, 4.05),
        row(8, 0.0, speed=10.0),
        row(8, 0.0, "cuda_graphs", 9.0),
        row(4, 0.5, speed=10.0),
        row(4, 0.5, "compile", error="no Triton"),
        row(4, 0.5, "cuda_graphs", 11.0, 4.2),
        row(4, 0.0, speed=10.0),
        row(4, 0.0, "cuda_graphs", 11.0, float("nan")),
        row(2, 0.5, "compile", 10.0),
        {"batch": 3, "weight": 0.5, "clips_per_s": 10.0},  # of an older version
    ]
    steps.write_text(json.dumps({"steps": rows}))
    cases = ((8, 0.5), (8, 0.0), (4, 0.5), (4, 0.0), (2, 0.5), (3, 0.5))
    assert [found(*case) for case in cases] == [both, [], [], [], [], []]
    assert found(8, 0.5, "encoder.dim=2048") == []  # of which nothing was measured
