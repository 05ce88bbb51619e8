import json
import re

import pytest
import yaml

from byola_diff import demo
from tests import processes

pytestmark = pytest.mark.slow

CONFIG = {
    "data": {"source": "procedural", "batch_size": 4, "num_workers": 0, "statistics_clips": 8},
    "views": {"mixup_memory": 8},
    "encoder": {"name": "AudioNTT2020", "dim": 512},
    "training": {
        "steps": 2,
        "log_every": 1,
        "projection_hidden": 16,
        "projection_dim": 8,
        "tensorboard": False,
        "accelerator": "cpu",
    },
}


def run_quickly(*words):
    done = processes.run(*words)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A demo of seconds: its folder, and the call that makes it."""
    folder = tmp_path_factory.mktemp("demo")
    config = folder / "tiny.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    patch = pytest.MonkeyPatch()
    patch.setattr(demo, "_N_CLIPS", 300)
    patch.setattr(demo, "_N_EVENTS", 6)
    patch.setattr(demo, "_run", run_quickly)
    out = folder / "out"

    def call(seed=0):
        return demo.run_demo(out, seed, None, config)

    call()
    yield out, call
    patch.undo()


def test_writes_a_page_and_scores_of_three_encoders(run):
    out, _ = run
    page = (out / "report.html").read_text()
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []  # opens without a network
    assert page.count("data:image/png;base64,") >= 3
    encoders = json.loads((out / "scores.json").read_text())["encoders"]
    assert list(encoders) == ["untrained", "weight 0", "weight 0.5"]
    for figures in encoders.values():
        assert set(figures) == {"accuracy", "cosine", "recall@1"}


def test_both_runs_start_from_the_same_weights_and_differ_in_the_loss(run):
    out, _ = run
    configs = [
        json.loads((out / f"weight_{weight}" / "run.json").read_text()) for weight in demo.WEIGHTS
    ]
    assert configs[0]["statistics"] == configs[1]["statistics"]
    for config, weight in zip(configs, demo.WEIGHTS, strict=True):
        assert config["config"]["objective"].pop("difference_weight") == float(weight)
        config["config"].pop("out_dir")
    assert configs[0]["config"] == configs[1]["config"]


def test_what_is_done_is_not_done_again(run, monkeypatch):
    out, call = run
    before = (out / "scores.json").read_text()

    def refuse(*command):
        raise AssertionError(f"ran {command}")

    monkeypatch.setattr(demo, "_run", refuse)
    call()
    scores = [json.loads(text)["encoders"] for text in (before, (out / "scores.json").read_text())]
    assert scores[0] == scores[1]


def test_another_seed_needs_another_folder(run):
    _, call = run
    with pytest.raises(FileExistsError, match="choose another --out"):
        call(seed=1)
