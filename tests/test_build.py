from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
import pytorch_lightning as pl
import soundfile
import torch

from byola_diff import build
from byola_diff.clips import open as open_module
from byola_diff.clips.source import TooManyRejectedError
from byola_diff.tables.reading import UnreadableClipsError


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


@pytest.mark.parametrize("compiled", [False, True])
def test_both_branches_are_compiled_where_asked(small_config, tmp_path, compiled):
    config = small_config(tmp_path, training={"compile": compiled})
    pair = build.build_learner(config, (0.0, 1.0)).pair
    assert [pair.online.uses_torch_compile, pair.target.uses_torch_compile] == [compiled] * 2


def test_compiled_with_synchronised_statistics_is_refused(small_config, tmp_path):
    with pytest.raises(ValueError, match=r"training\.compile can't fuse"):
        small_config(tmp_path, training={"compile": True, "sync_batchnorm": True})


@pytest.mark.parametrize(("deterministic", "searches"), [(False, True), (True, False)])
def test_a_gpu_looks_for_fast_convolutions(
    small_config, tmp_path, monkeypatch, deterministic, searches
):
    found = {}

    def trainer(**options):
        found.update(options)
        return made

    made = Mock(spec=pl.Trainer)
    monkeypatch.setattr(build.pl, "Trainer", trainer)
    monkeypatch.setattr(build, "use_gpu", lambda config: True)
    build.build_trainer(small_config(tmp_path, training={"deterministic": deterministic}))
    assert found["benchmark"] is searches


def test_scores_during_training_look_for_none(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    with build._any_length():
        assert not torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.benchmark


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


@pytest.mark.parametrize(
    ("batch_size", "training"),
    [
        (16, {"steps": None, "epochs": 1}),
        (16, {"steps": 3}),
        (16, {"steps": None, "minutes": 1.0}),
        (8, {"steps": 3, "devices": 2}),
        (4, {"steps": 3, "devices": 2, "nodes": 2}),
    ],
)
@pytest.mark.parametrize("source", ["folder", "packed", "resident"])
def test_fewer_clips_than_a_batch(
    source, batch_size, training, small_config, sounds, store, tmp_path
):
    root = sounds if source == "folder" else store
    data = {"source": source, "root": root, "batch_size": batch_size}
    config = small_config(tmp_path / "run", data=data, training=training)
    with pytest.raises(ValueError, match=r"10 clips are fewer than one global batch of 16 "):
        build.build_trainer(config)
    assert not (tmp_path / "run").exists()


def test_few_files_that_can_not_be_read_are_told_as_such(small_config, tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.wav").write_bytes(b"no sound")
    data = {"source": "folder", "root": tmp_path / "clips", "batch_size": 16}
    config = small_config(tmp_path / "run", data=data)
    with pytest.raises(TooManyRejectedError, match=r"^1 of 1 audio files .*\n  a\.wav: "):
        build.count_steps(config)


def test_statistics_of_several_processes_need_gpus(small_config, tmp_path):
    training = {"devices": 2, "sync_batchnorm": True}
    with pytest.raises(ValueError, match="sync_batchnorm needs GPUs"):
        build.build_trainer(small_config(tmp_path, training=training))


def test_memory_of_eight_batches(small_config, tmp_path):
    config = small_config(tmp_path, views={"mixup_memory_batches": 8})
    assert build.build_learner(config, (0.0, 1.0)).make_views.memory.size == 8 * 4


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


def test_every_clip_of_the_monitor_is_read_before_any_work(small_config, sounds, tmp_path):
    rows = ["file,label,split"]
    for number in range(4):
        content = (sounds / f"{number}.wav").read_bytes()
        (tmp_path / f"{number}.wav").write_bytes(content)
        rows.append(f"{number}.wav,{'ab'[number % 2]},{'train' if number < 2 else 'test'}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    config = small_config(tmp_path / "run", monitor={"manifest": tmp_path / "labels.csv"})
    build.build_trainer(config)
    (tmp_path / "1.wav").write_text("<html>no such page</html>")
    soundfile.write(tmp_path / "3.wav", np.full(900, np.nan), 16_000, subtype="FLOAT")
    with pytest.raises(UnreadableClipsError) as refusal:
        build.build_trainer(config)
    told = str(refusal.value).splitlines()
    assert told[0].startswith("2 of 4 clips can't be read")
    # The header of the second is in order.
    assert "1.wav: unreadable" in told[1]
    assert told[2].endswith("3.wav: has NaN or infinite samples")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("devices", "expected"), [(1, False), (2, True)])
def test_views_are_normalised_as_batches_are(devices, expected, small_config, tmp_path):
    training = {"devices": devices, "sync_batchnorm": True}
    learner = build.build_learner(small_config(tmp_path, training=training), (0.0, 1.0))
    assert learner.make_views.synchronized == expected


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"data": {"unit_s": 0.01}}, r"data.unit_s must be at least 0.033 .* not 0.01"),
        ({"data": {"unit_s": 0.02}, "views": {"short": 1}}, "at least 0.07 "),
        ({"encoder": {"name": "AudioNTT2022", "dim": 512}}, "must exceed the 1024 conv features"),
    ],
)
def test_sizes_that_do_not_fit_are_told_before_any_work(settings, told, small_config, tmp_path):
    settings = {"encoder": {"name": "AudioNTT2022", "dim": 1060}, **settings}
    with pytest.raises(ValueError, match=told):
        build.build_trainer(small_config(tmp_path / "run", **settings))
    assert not (tmp_path / "run").exists()


def test_the_shortest_clip_that_is_let_pass_trains(small_config, pretrain, tmp_path):
    network = {"name": "AudioNTT2020", "dim": 32}
    config = small_config(tmp_path, encoder=network, data={"unit_s": 0.15}, views={"short": 1})
    shorter = replace(config, data=replace(config.data, unit_s=0.1499))
    with pytest.raises(ValueError, match=r"at least 0\.15 "):
        build.check_sizes(shorter)
    pretrain(config)
