import json

import pytest
import torch

from byola_diff.audio.log_mel import LogMel
from byola_diff.clips.open import open_source
from byola_diff.config import to_plain
from byola_diff.storage import BrokenFileError
from byola_diff.training import run_identity
from byola_diff.training.run_identity import (
    OtherRunError,
    check_same_run,
    compute_statistics,
    find_checkpoint,
    statistics_of_run,
)


def test_nothing_to_resume_starts_a_run(tmp_path, small_config, capsys):
    assert find_checkpoint(small_config(tmp_path), "auto") is None
    assert "nothing to resume" in capsys.readouterr().out


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
    assert statistics_of_run(small_config(tmp_path), tmp_path / "any.ckpt") == (0.0, 1.0)
    assert not (tmp_path / "run.json").exists()


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
        training={"steps": 9, "log_every": 7, "keep_checkpoints": 5, "tensorboard": True},
        data={"num_workers": 3},
    )
    check_same_run(saved, to_plain(free))
    with pytest.raises(OtherRunError, match=r"views\.mixup_memory: 8 -> None"):
        check_same_run(saved, {**saved, "views": {"mixup_share": 0.2, "fader_gain": 1.0}})


def test_length_of_a_run_with_a_schedule_is_part_of_it(small_config, tmp_path):
    saved, longer = (
        to_plain(small_config(tmp_path, training={"schedule": "cosine", "steps": steps}))
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
