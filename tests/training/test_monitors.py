import csv
import sys
import time

import numpy as np
import pytest
import soundfile
import torch

from byola_diff import build
from byola_diff.clips.endless import ProceduralSource
from byola_diff.clips.source import TooManyRejectedError
from byola_diff.training import clip_module, monitors
from byola_diff.training.checkpoints import newest_checkpoint
from byola_diff.training.learner import Learner
from byola_diff.training.monitors import (
    DivergedError,
    ListRejectedFiles,
    MetricsFile,
    read_metrics,
    require_finite,
    spread,
)
from byola_diff.training.objective import Objective
from tests.helpers import normal_noise


def rows_of(folder, name="metrics.csv"):
    with (folder / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_spread_of_orthogonal_vectors():
    # Each dimension holds 1, 0, 0, 0: variance (9/16 + 3/16) / 3 = 1/4, deviation 1/2, times 2.
    assert spread(torch.eye(4)).item() == pytest.approx(1.0, abs=1e-6)


def test_spread_of_equal_directions_is_zero():
    same = torch.tensor([[3.0, 4.0]]) * torch.tensor([[1.0], [2.0], [7.0]])
    assert spread(same).item() == pytest.approx(0.0, abs=1e-6)


def test_spread_of_random_directions_is_near_one():
    directions = normal_noise(2000, 64)
    assert spread(directions).item() == pytest.approx(1.0, abs=0.02)
    assert spread(100 * directions).item() == pytest.approx(spread(directions).item(), abs=1e-5)


def test_finite_value_passes(tmp_path):
    require_finite(torch.tensor(8.0), 3, tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_other_value_is_told_with_step_and_causes(value, tmp_path):
    with pytest.raises(DivergedError, match=rf"the loss is {value} at step 3.*none yet.*float32"):
        require_finite(torch.tensor(value), 3, tmp_path)


def test_nan_loss_stops_before_the_checkpoint(small_config, pretrain, tmp_path, monkeypatch):
    calls, objective = [], Objective.terms

    def diverge(self, *args):
        calls.append(1)
        terms = objective(self, *args)
        return terms | {"total": terms["total"] * float("nan")} if len(calls) > 3 else terms

    monkeypatch.setattr(Objective, "terms", diverge)
    config = small_config(tmp_path, training={"checkpoint_every": 2, "log_every": 5})
    with pytest.raises(
        DivergedError, match=r"loss is nan at step 4.*step_00000002\.ckpt.*learning"
    ):
        pretrain(config)
    newest = newest_checkpoint(tmp_path / "checkpoints")
    assert newest.name == "step_00000002.ckpt"
    assert not (tmp_path / "checkpoints" / "step_00000004.ckpt").exists()


def test_nan_weights_behind_a_finite_loss_leave_no_checkpoint(
    small_config, pretrain, tmp_path, monkeypatch
):
    def poison(self, optimizer):
        next(self.pair.online.parameters()).grad[0] = float("nan")

    monkeypatch.setattr(Learner, "on_before_optimizer_step", poison)
    with pytest.raises(DivergedError, match="sum of the weights is nan at step 1"):
        pretrain(small_config(tmp_path, training={"steps": 1, "log_every": 5}))
    assert not list(tmp_path.glob("checkpoints/*"))


def test_collapse_is_told(small_config, pretrain, tmp_path, monkeypatch):
    monkeypatch.setattr(monitors, "spread", lambda representation: torch.tensor(0.004))
    with pytest.warns(UserWarning, match=r"collapse at step 1: spread 0\.0040.*learning rate"):
        pretrain(small_config(tmp_path, training={"steps": 1}))


@pytest.mark.parametrize(
    ("steps", "every", "expected"), [(5, 2, [2, 4, 5]), (4, 2, [2, 4]), (1, 10, [1])]
)
def test_row_every_so_often_and_at_the_end(
    steps, every, expected, small_config, pretrain, tmp_path
):
    pretrain(small_config(tmp_path, training={"steps": steps, "log_every": every}))
    assert [int(row["step"]) for row in rows_of(tmp_path)] == expected


def test_content_of_a_row(small_config, pretrain, tmp_path):
    pretrain(small_config(tmp_path, training={"steps": 2, "accumulate": 2}))
    for row in rows_of(tmp_path):
        values = {name: float(value) for name, value in row.items()}
        # Whole losses, however many batches an optimiser step accumulates.
        mean = (values["loss/byol"] + values["loss/difference"]) / 2
        assert values["loss/total"] == pytest.approx(mean, abs=1e-5)
        assert 0.05 < values["collapse/spread"] < 2
        assert (values["ema_decay"], values["lr"]) == (0.99, 0.001)
        assert values["clips_per_s"] > 0
        assert 0 < values["data_share"] < 1


def test_without_difference_term_its_column_is_empty(small_config, pretrain, tmp_path):
    pretrain(small_config(tmp_path, training={"steps": 1}, objective={"difference_weight": 0.0}))
    (row,) = rows_of(tmp_path)
    assert row["loss/difference"] == ""
    assert row["loss/total"] == row["loss/byol"]


@pytest.mark.slow
def test_waiting_for_data_is_told_from_other_waiting(small_config, tmp_path, monkeypatch):
    class Slow(ProceduralSource):
        def batch(self, epoch, clips, device):
            time.sleep(0.7)
            return super().batch(epoch, clips, device)

    def shares(folder, change):
        config = small_config(folder, training={"steps": 3})
        learner, trainer = build.build_learner(config, (-9.6, 3.8)), build.build_trainer(config)
        clips = build.build_clip_module(config)
        change(trainer)
        trainer.fit(learner, clips)
        monkeypatch.undo()
        return [float(row["data_share"]) for row in rows_of(folder)]

    def slow_source(trainer):
        monkeypatch.setattr(
            clip_module, "open_source", lambda *_, **options: Slow(42, 5120, 16_000)
        )

    def slow_score(trainer):
        score = monitors.ScoreDuringTraining(lambda learner: time.sleep(1) or {}, tmp_path, 1)
        trainer.callbacks.append(score)

    assert min(shares(tmp_path / "source", slow_source)) > 0.35
    assert max(shares(tmp_path / "score", slow_score)[1:]) < 0.35


def test_console_without_a_terminal_is_a_line_per_row(small_config, pretrain, tmp_path, capsys):
    pretrain(small_config(tmp_path, training={"steps": 4, "log_every": 2}))
    out = capsys.readouterr().out.splitlines()
    assert "pretraining on 1 x cpu in float32, 4 steps" in out
    lines = [line for line in out if line.startswith("step ")]
    assert [line.split(":")[0] for line in lines] == ["step 2/4", "step 4/4"]
    assert all(word in lines[0] for word in ("loss ", "clips/s", "waiting for data"))


def test_console_on_a_terminal_is_a_bar(small_config, pretrain, tmp_path, capsys, monkeypatch):
    pretrain(small_config(tmp_path, training={"steps": 1}))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    pretrain(small_config(tmp_path, training={"steps": 2}), "auto")
    output = capsys.readouterr()
    bar = output.err.split("\r")[-1]
    assert "pretraining: 100%" in bar
    assert "2/2" in bar
    assert "clips/s" in bar
    assert "step 2/2:" not in output.out


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """Tones and noise, to be told from each other."""
    folder = tmp_path_factory.mktemp("labelled")
    lines, draws = ["file,label,split"], np.random.default_rng(0)
    for number in range(12):
        label = ("tone", "noise")[number % 2]
        tone = np.sin(np.arange(8000) * (0.1 + 0.01 * number))
        samples = 0.3 * (tone if label == "tone" else draws.standard_normal(8000))
        soundfile.write(folder / f"{number}.wav", samples, 16_000)
        lines.append(f"{number}.wav,{label},{'train' if number < 8 else 'test'}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder / "manifest.csv"


@pytest.mark.slow
def test_score_during_training_changes_nothing_else(
    labelled, small_config, pretrain, tmp_path, assert_same_training
):
    training = {"steps": 3, "accumulate": 2}
    monitor = {"manifest": labelled, "every": 2}
    pretrain(small_config(tmp_path / "with", training=training, monitor=monitor))
    pretrain(small_config(tmp_path / "without", training=training))
    assert_same_training(tmp_path / "with", tmp_path / "without")
    scores = rows_of(tmp_path / "with", "scores.csv")
    assert [int(row["step"]) for row in scores] == [2, 3]
    assert all(0 <= float(row["knn/accuracy"]) <= 1 for row in scores)


@pytest.mark.slow
def test_resumed_run_does_not_repeat_scores(labelled, small_config, pretrain, tmp_path):
    monitor = {"manifest": labelled, "every": 1}
    training = {"steps": 3, "checkpoint_every": 2}
    config = small_config(tmp_path, training=training, monitor=monitor)
    pretrain(config)
    before = (tmp_path / "scores.csv").read_text()
    build.CheckedCheckpointIO().remove_checkpoint(tmp_path / "checkpoints" / "step_00000003.ckpt")
    pretrain(config, "auto")
    assert (tmp_path / "scores.csv").read_text() == before


def spoil(folder, sounds, n_files, n_broken):
    folder.mkdir()
    for number in range(n_files):
        content = (sounds / f"{number % 10}.wav").read_bytes()
        (folder / f"{number:02d}.wav").write_bytes(content if number >= n_broken else b"no sound")
    return folder


def test_unreadable_file_is_listed_and_training_goes_on(
    small_config, pretrain, sounds, tmp_path, capsys
):
    root = spoil(tmp_path / "clips", sounds, 30, 1)
    data = {"source": "folder", "root": root, "statistics_clips": 4}
    config = small_config(tmp_path / "run", data=data, training={"steps": 8})
    pretrain(config)
    told = capsys.readouterr().err
    assert "00.wav can't be used (" in told
    assert str(tmp_path / "run" / "rejected.csv") in told
    (row,) = rows_of(tmp_path / "run", "rejected.csv")
    assert row["file"] == "00.wav"
    assert row["reason"]
    assert len(rows_of(tmp_path / "run")) == 8


def test_too_many_unreadable_files_stop_the_run(small_config, pretrain, sounds, tmp_path):
    root = spoil(tmp_path / "clips", sounds, 30, 2)
    data = {"source": "folder", "root": root, "statistics_clips": 1}
    config = small_config(tmp_path / "run", data=data, training={"steps": 8})
    with pytest.raises(TooManyRejectedError, match=r"2 of 30 .*\n  00\.wav: .*\n  01\.wav: "):
        pretrain(config)


def test_files_met_by_different_workers_are_counted_together(tmp_path):
    listed = ListRejectedFiles(tmp_path, 40, 0.05)
    listed.add([("a.wav", "cut"), ("a.wav", "cut")])
    listed.add([("b.wav", "empty")])
    with pytest.raises(TooManyRejectedError, match="3 of 40"):
        listed.add([("c.wav", "cut")])
    again = ListRejectedFiles(tmp_path, 40, 0.05)
    again.add([("b.wav", "empty"), ("d.wav", "cut")])
    files = [row["file"] for row in rows_of(tmp_path, "rejected.csv")]
    assert files == ["a.wav", "b.wav", "c.wav", "d.wav"]


@pytest.fixture
def log(tmp_path):
    log = MetricsFile(tmp_path / "new folder" / "metrics.csv")
    for step in (2, 4, 6):
        log.append(step, {"loss": step / 8, "note": ""})
    return log


def test_rows_below_one_header(log):
    assert log.path.read_text().splitlines() == ["step,loss,note", "2,0.25,", "4,0.5,", "6,0.75,"]


def test_a_log_of_an_earlier_version_goes_on_with_its_columns(log):
    log.append(8, {"loss": 1.0, "new": 3, "note": "x"})
    assert log.path.read_text().splitlines()[-1] == "8,1.0,x"


@pytest.mark.parametrize(
    ("step", "left"), [(6, [2, 4, 6]), (5, [2, 4]), (4, [2, 4]), (1, []), (9, [2, 4, 6])]
)
def test_rows_after_the_step_are_dropped(log, step, left):
    log.truncate(step)
    rows = log.path.read_text().splitlines()
    assert rows[0] == "step,loss,note"
    assert [int(row.split(",")[0]) for row in rows[1:]] == left


def test_goes_on_after_dropping(log):
    log.truncate(4)
    log.append(6, {"loss": 1.5, "note": "again"})
    assert log.path.read_text().splitlines()[-2:] == ["4,0.5,", "6,1.5,again"]


@pytest.mark.parametrize("torn", ["8", "8,0", "8,0.12,x"])
def test_row_cut_short_by_a_kill_is_dropped(log, torn):
    with log.path.open("a") as file:
        file.write(torn)
    log.truncate(8)
    log.append(8, {"loss": 1.0, "note": ""})
    assert log.path.read_text().splitlines()[-2:] == ["6,0.75,", "8,1.0,"]


@pytest.mark.parametrize("content", ["", "step,lo"])
def test_file_without_a_whole_header_starts_again(log, content):
    log.path.write_text(content)
    log.truncate(8)
    log.append(8, {"loss": 1.0, "note": ""})
    assert log.path.read_text().splitlines() == ["step,loss,note", "8,1.0,"]


def test_nothing_to_drop(tmp_path):
    MetricsFile(tmp_path / "metrics.csv").truncate(3)
    assert not list(tmp_path.iterdir())


DAMAGE = [
    b"4,0.5\xff,",
    b"4,0.5\x0c,",
    b"4,0_5,",
    b'4,"0.5,',
    b"4,0.5",
    b"4,0.5,,",
    b"x,0.5,",
    b"4,0.\x005,",
    b"",
    b",,",
]


@pytest.mark.parametrize("row", DAMAGE)
def test_damage_costs_its_rows_only(log, row, capsys):
    log.path.write_bytes(log.path.read_bytes().replace(b"4,0.5,", row))
    assert read_metrics(log.path) == (
        ["step", "loss", "note"],
        [["2", "0.25", ""], ["6", "0.75", ""]],
    )
    assert "metrics.csv: 1 damaged rows are left out" in capsys.readouterr().err
    log.truncate(9)
    log.append(8, {"loss": 1.0, "note": ""})
    rows = log.path.read_text().splitlines()
    assert rows == ["step,loss,note", "2,0.25,", "6,0.75,", "8,1.0,"]


def test_a_damaged_header_is_set_aside(log, capsys):
    log.path.write_bytes(log.path.read_bytes().replace(b"step", b"\x00tep"))
    with pytest.raises(ValueError, match=r"metrics\.csv: its header is damaged"):
        read_metrics(log.path)
    log.truncate(9)
    assert "kept as metrics.damaged.csv" in capsys.readouterr().err
    log.append(8, {"loss": 1.0})
    assert log.path.read_text().splitlines() == ["step,loss", "8,1.0"]
