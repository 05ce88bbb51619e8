import json

import pytest

from byola_diff.demo import pretraining
from byola_diff.demo.pretraining import continue_pretraining, log_of
from byola_diff.demo.stages import Stages


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """Words of commands that would have been run, from an encoder of weight 0.2."""
    noted = []
    monkeypatch.setattr(
        pretraining, "run_command", lambda *words: noted.append(list(map(str, words)))
    )
    start = tmp_path / "start"
    start.mkdir()
    training = {"objective": {"difference_weight": 0.2}}
    (start / "config.json").write_text(json.dumps({"training": training}))
    monkeypatch.setattr(pretraining, "START", str(start))
    return noted


def after(words, option):
    return words[words.index(option) + 1]


def test_goes_on_from_the_shipped_encoder_with_its_weight(commands, tmp_path):
    config = tmp_path / "some.yaml"
    run = continue_pretraining(Stages(tmp_path / "out"), config, 3, None, None)
    assert run == tmp_path / "out/continued"
    train, export = commands
    assert after(train, "--init_from") == str(tmp_path / "start")
    assert after(train, "--objective.difference_weight") == "0.2"
    assert (after(train, "--config"), after(train, "--seed")) == (str(config), "3")
    assert after(train, "--resume") == "auto"
    assert not {"--training.steps", "--data.root"} & set(train)
    assert export[:3] == [
        "export",
        str(run / "checkpoints/last.ckpt"),
        str(run / "bundle"),
    ]
    assert after(export, "--data") == "procedural sounds"


def test_on_recordings_and_for_other_steps(commands, tmp_path):
    continue_pretraining(Stages(tmp_path), tmp_path / "some.yaml", 0, 7, tmp_path / "mine")
    train, export = commands
    assert after(train, "--training.steps") == "7"
    assert (after(train, "--data.source"), after(train, "--data.root")) == (
        "folder",
        str(tmp_path / "mine"),
    )
    assert after(export, "--data") == "recordings in mine"


def test_a_run_with_a_bundle_is_done(commands, tmp_path):
    (tmp_path / "continued/bundle").mkdir(parents=True)
    continue_pretraining(Stages(tmp_path), tmp_path / "some.yaml", 0, None, None)
    assert commands == []


def test_log_has_none_where_a_cell_is_empty(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,loss/byol\n5,3.5\n10,\n")
    assert log_of(tmp_path) == {"step": [5.0, 10.0], "loss/byol": [3.5, None]}
    (tmp_path / "metrics.csv").write_text("step,loss/byol\n")
    with pytest.raises(ValueError, match="has no whole row"):
        log_of(tmp_path)
