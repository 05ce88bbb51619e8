import dataclasses
import json
import re
from pathlib import Path

import pytest

from byola_diff.commands.pretrain import parse_args
from byola_diff.config import (
    DataConfig,
    FrontEndConfig,
    MonitorConfig,
    ObjectiveConfig,
    PretrainConfig,
    SourceConfig,
    TrainingConfig,
    ViewsConfig,
    to_plain,
)


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (DataConfig, {}, "data.source 'folder' needs data.root"),
        (DataConfig, {"source": "packed"}, "data.source 'packed' needs data.root"),
        (DataConfig, {"source": "procedural", "root": Path("x")}, "takes no data.root"),
        (DataConfig, {"root": Path("x"), "batch_size": 1}, "data.batch_size must be at least 2"),
        (DataConfig, {"root": Path("x"), "statistics_clips": 0}, "data.statistics_clips"),
        (DataConfig, {"root": Path("x"), "unit_s": 0.0}, "data.unit_s must be positive"),
        (DataConfig, {"root": Path("x"), "num_workers": -1}, "data.num_workers must be"),
        (DataConfig, {"root": Path("x"), "resident_split": True}, "is for data.source resident"),
        (DataConfig, {"root": Path("x"), "max_rejected": 1.1}, "data.max_rejected must be in"),
        (ViewsConfig, {"mixup_share": 1.0}, r"views.mixup_share must be in \[0, 1\), not 1.0"),
        (ViewsConfig, {"mixup_share": -0.1}, "views.mixup_share"),
        (ViewsConfig, {"mixup_memory": 0}, "views.mixup_memory must be at least 1, not 0"),
        (ViewsConfig, {"mixup_memory_batches": 0}, "views.mixup_memory_batches must be at least 1"),
        (ViewsConfig, {"fader_gain": -1.0}, "views.fader_gain must be at least 0, not -1.0"),
        (ObjectiveConfig, {"difference_weight": 1.5}, "difference_weight must be .* not 1.5"),
        (ObjectiveConfig, {"difference_weight": -0.1}, "objective.difference_weight"),
        (ObjectiveConfig, {"rate_range": (0.0, 0.6)}, r"objective.rate_range .* \(0.0, 0.6\)"),
        (ObjectiveConfig, {"rate_range": (0.6, 0.4)}, "objective.rate_range"),
        (ObjectiveConfig, {"rate_range": (0.4, 1.0)}, "objective.rate_range"),
        (TrainingConfig, {"ema_decay": 1.01}, r"training.ema_decay must be in \[0, 1\], not 1.01"),
        (TrainingConfig, {"lr": 0.0}, "training.lr must be positive, not 0.0"),
        (TrainingConfig, {"lr": float("nan")}, "training.lr must be positive, not nan"),
        (TrainingConfig, {"epochs": 0}, "training.epochs must be at least 1, not 0"),
        (TrainingConfig, {"accumulate": 0}, "training.accumulate must be"),
        (TrainingConfig, {"nodes": 0}, "training.nodes must be"),
        (TrainingConfig, {"log_every": 0}, "training.log_every must be"),
        (TrainingConfig, {"checkpoint_every": 0}, "training.checkpoint_every must be"),
        (TrainingConfig, {"keep_checkpoints": 0}, "training.keep_checkpoints must be"),
        (TrainingConfig, {"projection_hidden": 0}, "training.projection_hidden must be"),
        (TrainingConfig, {"projection_dim": 0}, "training.projection_dim must be"),
        (TrainingConfig, {"steps": 0}, "training.steps must be at least 1, not 0"),
        (
            TrainingConfig,
            {"steps": 1600, "minutes": 2.0},
            r"steps \(1600\) and training.minutes \(2\) both .* as in --training.steps null",
        ),
        (TrainingConfig, {"devices": 0}, "training.devices must be at least 1 or 'auto', not 0"),
        (TrainingConfig, {"logger": ()}, r"training.logger must be one or several .* not \(\)"),
        (TrainingConfig, {"logger": ("none", "csv")}, "training.logger must be one or several"),
        (TrainingConfig, {"logger": ("wandb", "wandb")}, "training.logger must be .* each once"),
        (MonitorConfig, {"every": 0}, "monitor.every must be at least 1, not 0"),
        (PretrainConfig, {"data": DataConfig(source="procedural")}, "give training.steps"),
    ],
)
def test_value_that_makes_no_sense_is_refused(make, settings, message):
    with pytest.raises(ValueError, match=message):
        make(**settings)


def test_edges_are_allowed():
    DataConfig(root=Path("x"), batch_size=2, max_rejected=0.0, num_workers=0)
    ViewsConfig(mixup_share=0.0, fader_gain=0.0, mixup_memory=1)
    ObjectiveConfig(difference_weight=0.0, rate_range=(0.5, 0.5))
    TrainingConfig(ema_decay=0.0, devices=1, steps=1)


def test_settings_can_not_be_changed_later():
    with pytest.raises(dataclasses.FrozenInstanceError):
        FrontEndConfig().n_mels = 80


def test_clip_length_in_samples():
    assert PretrainConfig(data=DataConfig(root=Path("x"))).unit_samples == 15_200
    config = PretrainConfig(
        data=DataConfig(root=Path("x"), unit_s=0.1), front_end=FrontEndConfig(sample_rate=44_100)
    )
    assert config.unit_samples == 4410


def test_plain_values_are_those_of_json():
    config = PretrainConfig(data=DataConfig(root=Path("data/esc10")))
    plain = to_plain(config)
    assert json.loads(json.dumps(plain)) == plain
    assert plain["data"]["root"] == "data/esc10"
    assert plain["objective"]["rate_range"] == [0.4, 0.6]
    assert plain["training"]["steps"] is None
    fields = {field.name for field in dataclasses.fields(PretrainConfig)}
    assert plain.keys() == fields


def test_mixup_memory_in_clips_or_in_batches():
    assert ViewsConfig(mixup_memory=100).memory_clips(32) == 100
    assert ViewsConfig(mixup_memory=100, mixup_memory_batches=8).memory_clips(32) == 256


def test_a_name_that_is_no_packaged_configuration_is_refused_with_those_there_are(capsys):
    with pytest.raises(SystemExit):
        parse_args(["--config", "diff2023"])
    told = capsys.readouterr().err
    assert "'diff2023' is neither a file nor one of adapt, best, byola_v1" in told


def test_a_value_in_place_of_a_group_is_refused(tmp_path, capsys):
    (tmp_path / "mine.yaml").write_text("training: 3\n")
    with pytest.raises(SystemExit):
        parse_args(["--config", str(tmp_path / "mine.yaml"), "--data.root", str(tmp_path)])
    assert "training: takes settings by name, not 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("logger", "trackers"),
    [
        ("none", ()),
        ("csv", ()),
        ("tensorboard", ("tensorboard",)),
        (("mlflow", "csv", "wandb"), ("mlflow", "wandb")),
    ],
)
def test_loggers_beside_the_log_that_every_run_has(logger, trackers):
    assert TrainingConfig(logger=logger).trackers == trackers


@pytest.mark.parametrize(
    ("text", "logger"), [("wandb", "wandb"), ("[tensorboard, wandb]", ("tensorboard", "wandb"))]
)
def test_one_logger_or_several_are_given(text, logger, tmp_path):
    (tmp_path / "mine.yaml").write_text(f"training: {{logger: {text}}}\n")
    root = ["--data.root", str(tmp_path)]
    for words in (["--training.logger", text], ["--config", str(tmp_path / "mine.yaml")]):
        assert parse_args([*words, *root])[0].training.logger == logger


@pytest.mark.parametrize(("former", "logger"), [("true", "tensorboard"), ("false", "none")])
def test_the_former_setting_of_a_logger_is_understood(former, logger, tmp_path, capsys):
    (tmp_path / "old.yaml").write_text(f"training: {{tensorboard: {former}, lr: 0.002}}\n")
    root = ["--data.root", str(tmp_path)]
    old = ["--config", str(tmp_path / "old.yaml")]
    for words in ([*old], ["--training.tensorboard", former]):
        assert parse_args([*words, *root])[0].training.logger == logger
        told = capsys.readouterr().err
        assert told == f"train.py: training.tensorboard is taken as training.logger: {logger}\n"
    assert parse_args([*old, *root])[0].training.lr == 0.002
    capsys.readouterr()
    with pytest.raises(SystemExit):
        parse_args([*old, *root, "--training.logger", "wandb"])
    assert (
        "training.tensorboard is now part of training.logger: leave it" in capsys.readouterr().err
    )


def test_the_former_setting_is_shown_nowhere(capsys):
    for words in (["--help-all"], ["--print_config", "--data.root", "x"]):
        with pytest.raises(SystemExit):
            parse_args(words)
        printed = capsys.readouterr().out
        assert "logger" in printed
        assert "training.tensorboard" not in printed
        assert "  tensorboard:" not in printed


def test_every_setting_is_explained(capsys):
    with pytest.raises(SystemExit):
        parse_args(["--help-all"])
    assert re.findall(r"--\S+(?: \S+)?\s+\(type", capsys.readouterr().out) == []


@pytest.mark.parametrize(
    "url",
    ["s3://mine/part-{0..9}.tar", "file:///tmp/a.tar", "https://mine.org/a//b.tar?key=x//y"],
)
def test_a_url_stays_as_it_is_written(tmp_path, url):
    given = ["--data.source", "shards", "--data.root", url, "--training.steps", "1"]
    config, _ = parse_args(given)
    assert config.data.root == url
    assert to_plain(config)["data"]["root"] == url
    part = f"{{source: shards, root: '{url}', share: 0.5}}"
    other = f"{{source: folder, root: {tmp_path}, share: 0.5}}"
    path = tmp_path / "mine.yaml"
    path.write_text(f"data: {{sources: [{part}, {other}]}}\ntraining: {{steps: 1}}\n")
    config, _ = parse_args(["--config", str(path)])
    assert [str(part.root) for part in config.data.sources] == [url, str(tmp_path)]


def test_home_folder_in_paths_of_a_file(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    sources = (SourceConfig(source="folder", root="~/a", share=1.0),)
    config = PretrainConfig(
        out_dir=Path("~/runs"),
        data=DataConfig(sources=sources),
        training=TrainingConfig(steps=1),
        monitor=MonitorConfig(manifest=Path("~/m.csv")),
    )
    assert config.out_dir == Path("/home/someone/runs")
    assert config.data.sources[0].root == Path("/home/someone/a")
    assert config.monitor.manifest == Path("/home/someone/m.csv")
    assert DataConfig(root="~/b").root == Path("/home/someone/b")
    assert DataConfig(source="shards", root="s3://mine/a.tar").root == "s3://mine/a.tar"
