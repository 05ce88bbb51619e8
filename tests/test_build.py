import numpy as np
import pytest
import soundfile
import torch

from byola_diff import build
from byola_diff.clips import open as open_module


def test_weights_depend_on_the_seed_alone(small_config, tmp_path):
    config = small_config(tmp_path)
    torch.manual_seed(1)
    first = build.build_learner(config, (0.0, 1.0)).pair.state_dict()
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = build.build_learner(config, (0.0, 1.0)).pair.state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[key], second[key]) for key in first)
    other = build.build_learner(small_config(tmp_path, seed=43), (0.0, 1.0)).pair.state_dict()
    assert not torch.equal(first["predictor.0.weight"], other["predictor.0.weight"])


def test_weight_zero_starts_from_the_same_weights(small_config, tmp_path):
    plain = small_config(tmp_path, objective={"difference_weight": 0.0})
    without = build.build_learner(plain, (0.0, 1.0)).pair
    both = build.build_learner(small_config(tmp_path), (0.0, 1.0)).pair.state_dict()
    assert without.difference_predictor is None
    assert all(torch.equal(value, both[key]) for key, value in without.state_dict().items())


def test_counting_steps_keeps_a_resident_store_on_disk(small_config, store, tmp_path, monkeypatch):
    data = {"source": "resident", "root": store}
    config = small_config(tmp_path, data=data, training={"steps": None, "epochs": 3})
    monkeypatch.setattr(open_module, "ResidentSource", None)
    assert build.count_steps(config) == 3 * (10 // 4)


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({"steps": 7, "epochs": 3}, 7),
        ({"epochs": 3}, 6),
        ({"epochs": 3, "accumulate": 2}, 3),
        ({"epochs": 3, "accumulate": 4}, 1),
        ({"epochs": 1, "accumulate": 4}, 1),
        ({"epochs": 3, "devices": 2}, 3),
        ({"epochs": 3, "nodes": 2}, 3),
    ],
)
def test_steps_of_a_run_over_ten_clips(training, expected, small_config, sounds, tmp_path):
    data = {"source": "folder", "root": sounds}
    config = small_config(tmp_path, data=data, training={"steps": None} | training)
    assert build.count_steps(config) == expected
    assert build.build_clip_module(config).n_steps == expected * config.training.accumulate


def test_fewer_clips_than_a_batch(small_config, sounds, tmp_path):
    data = {"source": "folder", "root": sounds, "batch_size": 16}
    config = small_config(tmp_path, data=data, training={"steps": None})
    with pytest.raises(ValueError, match=r"10 clips are fewer than one global batch of 16"):
        build.count_steps(config)


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({"devices": 3}, 3),
        ({"devices": "auto"}, 1),
        ({"devices": "auto", "accelerator": "auto"}, max(torch.cuda.device_count(), 1)),
    ],
)
def test_processes_on_a_node(training, expected, small_config, tmp_path):
    assert build.count_devices(small_config(tmp_path, training=training)) == expected


@pytest.mark.parametrize(
    ("precision", "expected"), [("float32", False), ("bfloat16", True), ("auto", None)]
)
def test_precision(precision, expected, small_config, tmp_path):
    found = build.use_bfloat16(small_config(tmp_path, training={"precision": precision}))
    assert isinstance(found, bool)
    assert expected is None or found == expected


def test_silent_corpus(small_config, pretrain, tmp_path):
    for number in range(4):
        soundfile.write(tmp_path / f"{number}.wav", np.zeros(8000), 16_000)
    config = small_config(tmp_path / "run", data={"source": "folder", "root": tmp_path})
    with pytest.raises(ValueError, match="is the corpus silent"):
        pretrain(config)
    assert not list(tmp_path.glob("run/*"))


def test_folder_without_audio(small_config, pretrain, tmp_path):
    (tmp_path / "notes.txt").write_text("no sound")
    with pytest.raises(ValueError, match="no audio files below"):
        pretrain(small_config(tmp_path / "run", data={"source": "folder", "root": tmp_path}))


def test_manifest_of_the_monitor_is_checked_before_any_work(small_config, tmp_path):
    config = small_config(tmp_path, monitor={"manifest": tmp_path / "none.csv"})
    with pytest.raises(Exception, match=r"none\.csv"):
        build.build_trainer(config)
