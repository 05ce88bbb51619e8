import json
import shutil
from pathlib import Path

import pytest
import soundfile
import torch
from pytorch_lightning.utilities import rank_zero_only

from byola_diff.audio.log_mel import LogMel
from byola_diff.clips import folder as folder_module
from byola_diff.clips.open import open_source
from byola_diff.config import SourceConfig, to_plain
from byola_diff.storage import BrokenFileError, load_checked, save_checked
from byola_diff.training import run_identity
from byola_diff.training.run_identity import (
    OtherRunError,
    check_resumed,
    check_same_run,
    compute_statistics,
    find_checkpoint,
    has_checkpoint,
    identity_of_run,
    statistics_of_run,
    tell_start,
)
from tests.store.store_maker import pack


@pytest.mark.parametrize(
    ("resume", "checkpoint", "told"),
    [
        ("no", None, ""),
        ("auto", None, "nothing to resume in {}/checkpoints\n"),
        ("auto", Path("a.ckpt"), "resuming from a.ckpt\n"),
    ],
)
def test_where_a_run_starts_is_told(resume, checkpoint, told, tmp_path, small_config, capsys):
    tell_start(small_config(tmp_path), checkpoint, resume)
    assert capsys.readouterr().out == told.format(tmp_path)


def test_nothing_to_resume_starts_a_run(tmp_path, small_config, capsys):
    config = small_config(tmp_path)
    assert find_checkpoint(config, "auto") is None
    assert not has_checkpoint(config)
    assert capsys.readouterr().out == ""


def test_path_that_is_missing_or_broken(tmp_path, small_config):
    config, path = small_config(tmp_path), tmp_path / "mine.ckpt"
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*mine\.ckpt"):
        find_checkpoint(config, str(path))
    path.write_bytes(b"no checkpoint")
    with pytest.raises(BrokenFileError, match=r"mine\.ckpt.sha256 is missing"):
        find_checkpoint(config, str(path))


def test_statistics_by_hand(small_config, sounds, tmp_path):
    config = small_config(tmp_path, data={"source": "folder", "root": sounds})
    source = open_source(config, "cpu")
    mean, std = compute_statistics(config, source)
    log_mel = LogMel(**vars(config.front_end))(source.batch(0, torch.arange(10), "cpu")).double()
    assert mean == pytest.approx(log_mel.mean().item(), abs=1e-6)
    assert std == pytest.approx(log_mel.std(correction=0).item(), abs=1e-6)


def test_statistics_are_the_same_again_and_written_down(small_config, tmp_path):
    config = small_config(tmp_path)
    found = statistics_of_run(config, None)
    assert found == statistics_of_run(config, None)
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["statistics"] == {"mean": found[0], "std": found[1]}
    assert facts["config"]["seed"] == 42
    assert facts["config"]["data"]["source"] == "procedural"


def test_resumed_run_computes_no_statistics(small_config, tmp_path, monkeypatch):
    monkeypatch.setattr(run_identity, "compute_statistics", None)
    statistics = {"normalize.mean": torch.tensor(-9.5), "normalize.std": torch.tensor(4.5)}
    save_checked({"state_dict": statistics}, tmp_path / "any.ckpt")
    config = small_config(tmp_path)
    assert statistics_of_run(config, tmp_path / "any.ckpt") == (-9.5, 4.5)
    told = json.loads((tmp_path / "run.json").read_text())
    assert told["statistics"] == {"mean": -9.5, "std": 4.5}
    assert told["config"] == to_plain(config)


def test_statistics_come_back_from_the_checkpoint(small_config, pretrain, tmp_path):
    first = pretrain(small_config(tmp_path, training={"steps": 1}))
    second = pretrain(small_config(tmp_path, training={"steps": 2}), "auto")
    for name in ("mean", "std"):
        assert torch.equal(getattr(first.normalize, name), getattr(second.normalize, name))
    assert second.normalize.mean.item() != 0


def test_checkpoint_of_another_run_is_refused(pretrain, small_config, tmp_path):
    pretrain(small_config(tmp_path, training={"steps": 1}))
    changed = small_config(
        tmp_path, seed=1, training={"lr": 3e-4}, objective={"difference_weight": 0.2}
    )
    with pytest.raises(OtherRunError) as refusal:
        pretrain(changed, "auto")
    for line in (
        "seed: 42 -> 1",
        "training.lr: 0.001 -> 0.0003",
        "objective.difference_weight: 0.5 -> 0.2",
    ):
        assert line in str(refusal.value)


def test_what_may_change_between_the_parts_of_a_run(small_config, tmp_path):
    saved = to_plain(small_config(tmp_path))
    free = small_config(
        tmp_path / "moved",
        training={"steps": 9, "log_every": 7, "keep_checkpoints": 5, "logger": ("wandb", "csv")},
        data={"num_workers": 3},
    )
    check_same_run(saved, to_plain(free))
    with pytest.raises(OtherRunError, match=r"views\.mixup_memory: 8 -> None"):
        check_same_run(saved, {**saved, "views": {"mixup_share": 0.2, "fader_gain": 1.0}})


@pytest.mark.parametrize("name", ["schedule", "ema_schedule"])
def test_length_of_a_run_with_a_schedule_is_part_of_it(small_config, tmp_path, name):
    saved, longer = (
        to_plain(small_config(tmp_path, training={name: "cosine", "steps": steps}))
        for steps in (3, 6)
    )
    check_same_run(saved, saved)
    with pytest.raises(OtherRunError, match=r"training\.steps: 3 -> 6"):
        check_same_run(saved, longer)


def test_checkpoint_from_before_a_setting_existed(small_config, tmp_path):
    current = to_plain(small_config(tmp_path))
    check_same_run({**current, "views": {"mixup_memory": 8}}, current)


def test_checkpoint_from_before_running_statistics_were_of_views(small_config, tmp_path):
    current = to_plain(small_config(tmp_path))
    saved = {**current, "objective": dict(current["objective"])}
    del saved["objective"]["running_statistics"]
    with pytest.raises(OtherRunError, match=r"objective\.running_statistics: all -> views"):
        check_same_run(saved, current)
    as_before = small_config(tmp_path, objective={"running_statistics": "all"})
    check_same_run(saved, to_plain(as_before))


def change_sample(path):
    """Another recording of the same name and length."""
    samples, rate = soundfile.read(path)
    samples[len(samples) // 3] += 0.5
    soundfile.write(path, samples, rate)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "3.wav").unlink(),
        lambda folder: shutil.copy(folder / "3.wav", folder / "10.wav"),
        lambda folder: (folder / "3.wav").rename(folder / "33.wav"),
        lambda folder: shutil.copy(folder / "4.wav", folder / "3.wav"),
        lambda folder: change_sample(folder / "3.wav"),
        lambda folder: (folder / "3.wav").write_bytes(b""),
    ],
    ids=["removed", "added", "renamed", "other length", "other samples", "emptied"],
)
def test_other_clips_are_another_run(change, small_config, sounds, tmp_path):
    folder = tmp_path / "clips"
    shutil.copytree(sounds, folder)
    config = small_config(tmp_path, data={"source": "folder", "root": folder})
    before = identity_of_run(config)
    shutil.copytree(folder, tmp_path / "moved")
    moved = small_config(tmp_path, data={"source": "folder", "root": tmp_path / "moved"})
    assert identity_of_run(moved) == before
    change(folder)
    plain = to_plain(config)
    with pytest.raises(OtherRunError, match=r"run\.clips: \['10 audio files, .* -> \['"):
        check_same_run({**plain, "run": before}, {**plain, "run": identity_of_run(config)})


def test_of_a_large_set_the_middle_of_evenly_chosen_files_is_read(monkeypatch, sounds, tmp_path):
    for name, value in (("_READ_BYTES", 0), ("_READ_FILES", 5), ("_MIDDLE_BYTES", 8)):
        monkeypatch.setattr(folder_module, name, value)
    folder = tmp_path / "clips"
    shutil.copytree(sounds, folder)

    def identity():
        how = {"sample_rate": 16_000, "crop_samples": 100, "seed": 0}
        return folder_module.FolderSource(folder, **how).identity()

    before = identity()
    for name, place, is_seen in (("0", 0.5, True), ("0", 0.1, False), ("1", 0.5, False)):
        path, content = folder / f"{name}.wav", (sounds / f"{name}.wav").read_bytes()
        changed = bytearray(content)
        changed[round(place * len(content))] ^= 1
        path.write_bytes(changed)
        assert (identity() != before) == is_seen
        path.write_bytes(content)
    (folder / "1.wav").rename(folder / "11.wav")
    assert identity() != before


def test_a_store_is_the_same_on_disk_and_in_memory_but_not_with_other_samples(
    small_config, store, sounds, tmp_path
):
    def clips(source, root):
        return identity_of_run(small_config(tmp_path, data={"source": source, "root": root}))

    shutil.copytree(store, tmp_path / "moved")
    assert clips("packed", store) == clips("resident", tmp_path / "moved")
    shutil.copytree(sounds, tmp_path / "clips")
    change_sample(tmp_path / "clips" / "3.wav")
    pack(tmp_path / "clips", tmp_path / "other")
    assert clips("packed", store) != clips("packed", tmp_path / "other")
    assert clips("packed", store) != clips("folder", sounds)


def test_mixed_sources_may_move_but_keep_their_clips_and_shares(small_config, store, tmp_path):
    def checked(*shares, root=store):
        sources = [SourceConfig(source="packed", root=root, share=share) for share in shares]
        data = {"source": "folder", "root": None, "sources": tuple(sources)}
        config = small_config(tmp_path, data=data)
        return {**to_plain(config), "run": identity_of_run(config)}

    shutil.copytree(store, tmp_path / "moved")
    check_same_run(checked(0.5, 0.5), checked(0.5, 0.5, root=tmp_path / "moved"))
    with pytest.raises(OtherRunError, match=r"data\.sources: \[0\.5, 0\.5\] -> \[0\.4, 0\.6\]"):
        check_same_run(checked(0.5, 0.5), checked(0.4, 0.6))


def test_precision_and_processes_are_compared_as_they_came_out(small_config, tmp_path):
    def checked(**training):
        config = small_config(tmp_path, training=training)
        return {**to_plain(config), "run": identity_of_run(config)}

    check_same_run(checked(devices=4, nodes=1), checked(devices=2, nodes=2))
    with pytest.raises(OtherRunError, match=r"run\.processes: 4 -> 2"):
        check_same_run(checked(devices=4), checked(devices=2))
    found = checked(precision="auto")
    check_same_run(found, checked(precision=found["run"]["precision"]))
    with pytest.raises(OtherRunError, match=r"run\.precision: bfloat16 -> float32"):
        check_same_run(checked(precision="bfloat16"), checked(precision="float32"))


def test_setting_that_the_checkpoint_does_not_know_must_have_its_default(small_config, tmp_path):
    saved = to_plain(small_config(tmp_path))
    del saved["views"]["mixup_memory_batches"], saved["training"]["sync_batchnorm"]
    check_same_run(saved, to_plain(small_config(tmp_path)))
    views = small_config(tmp_path, views={"mixup_memory_batches": 2})
    with pytest.raises(OtherRunError, match=r"views\.mixup_memory_batches: None -> 2"):
        check_same_run(saved, to_plain(views))


def test_a_run_goes_on_with_its_own_clips_alone(small_config, pretrain, sounds, tmp_path, capsys):
    shutil.copytree(sounds, tmp_path / "clips")

    def config(steps):
        data = {"source": "folder", "root": tmp_path / "clips"}
        return small_config(tmp_path / "run", data=data, training={"steps": steps})

    pretrain(config(1))
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    state = load_checked(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert state["identity"] == facts["identity"] == identity_of_run(config(1))
    pretrain(config(2), "auto")
    (tmp_path / "clips" / "9.wav").unlink()
    with pytest.raises(OtherRunError, match=r"\['10 audio files, .* -> \['9 audio files, "):
        pretrain(config(3), "auto")
    # An older checkpoint does not know its clips.
    del state["identity"]
    save_checked(state, tmp_path / "old.ckpt")
    capsys.readouterr()
    check_resumed(config(3), tmp_path / "old.ckpt", identity_of_run(config(3)))
    assert "is of an older version: it does not say on which clips" in capsys.readouterr().out
    save_checked({"weight": torch.zeros(1)}, tmp_path / "weights.ckpt")
    with pytest.raises(BrokenFileError, match="not a checkpoint of a pretraining run"):
        check_resumed(config(3), tmp_path / "weights.ckpt", identity_of_run(config(3)))


def test_a_run_that_goes_on_without_what_was_compiled_says_so(
    small_config, pretrain, tmp_path, capsys
):
    config = small_config(tmp_path / "run")
    pretrain(config)
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    identity = identity_of_run(config)
    capsys.readouterr()
    check_resumed(config, checkpoint, identity)
    assert capsys.readouterr().out == ""
    check_resumed(config, checkpoint, {**identity, "compiled": not identity["compiled"]})
    assert "its last bits are not those of a run" in capsys.readouterr().out


def test_only_the_first_process_finds_out_about_the_clips(small_config, tmp_path, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    monkeypatch.setattr(run_identity, "compute_statistics", None)
    monkeypatch.setattr(run_identity, "identify_clips", None)
    config = small_config(tmp_path / "run")
    assert identity_of_run(config) == {}
    assert statistics_of_run(config, None, {}) == (0.0, 1.0)
    check_resumed(config, tmp_path / "left to the first.ckpt", {})
    assert not (tmp_path / "run").exists()
