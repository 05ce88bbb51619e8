"""Every YAML of the repository builds what it names, and explains itself."""

import ast
import dataclasses
from pathlib import Path

import pytest
import yaml

from byola_diff import build, config
from byola_diff.commands.pretrain import parse_args
from byola_diff.models.cnn import ENCODERS

REPOSITORY = Path(__file__).parents[1]
PRETRAIN = sorted((REPOSITORY / "configs" / "pretrain").glob("*.yaml"))


def load(path, *options):
    procedural = yaml.safe_load(path.read_text()).get("data", {}).get("source") == "procedural"
    root = [] if procedural else ["--data.root", "data/clips"]
    return parse_args(["--config", str(path), *root, *options])[0]


def test_published_methods_have_a_file():
    assert {"byola_v1", "byola_v2", "diff2024", "procedural"} <= {path.stem for path in PRETRAIN}


@pytest.mark.parametrize("path", PRETRAIN, ids=lambda path: path.stem)
def test_builds_a_learner(path):
    settings = load(path)
    small = dataclasses.replace(settings.training, projection_hidden=8, projection_dim=4)
    learner = build.build_learner(dataclasses.replace(settings, training=small), (-8.0, 4.0))
    encoder = learner.pair.online.encoder
    assert isinstance(encoder, ENCODERS[settings.encoder.name])
    assert encoder.dim == settings.encoder.dim
    predicts_differences = settings.objective.difference_weight > 0
    assert (learner.pair.difference_predictor is not None) == predicts_differences
    assert learner.log_mel.sample_rate == settings.front_end.sample_rate


@pytest.mark.parametrize("path", PRETRAIN, ids=lambda path: path.stem)
def test_says_whose_settings_it_holds(path):
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("path", PRETRAIN, ids=lambda path: path.stem)
def test_option_overrides_the_file(path):
    settings = load(path, "--objective.difference_weight", "0.2")
    assert settings.objective.difference_weight == 0.2
    assert dataclasses.replace(settings, objective=load(path).objective) == load(path)


def test_settings_of_the_papers():
    files = {path.stem: load(path) for path in PRETRAIN}
    v1, v2, difference = files["byola_v1"], files["byola_v2"], files["diff2024"]
    assert (v1.views.mixup_share, v1.views.fader_gain, v1.training.lr) == (0.4, 0.0, 3e-4)
    assert (v2.views.mixup_share, v2.views.fader_gain, v2.training.lr) == (0.2, 1.0, 1e-4)
    assert v1.objective.difference_weight == v2.objective.difference_weight == 0
    assert difference.front_end.window_samples == difference.front_end.n_fft == 400
    assert (difference.front_end.f_min_hz, difference.front_end.f_max_hz) == (50, 8000)
    assert difference.objective.difference_weight == 0.5
    assert {settings.training.ema_decay for settings in (v1, v2, difference)} == {0.99}


def test_keys_are_documented():
    """A key whose name is not enough has a text below it: units, choices, what it is good for."""
    plain = {
        "window_samples n_fft hop_samples n_mels f_min_hz f_max_hz backend mixup_memory name dim",
        "rate_range symmetric detach_reference renormalize_mixture seed root lr ema_decay",
        "projection_hidden projection_dim accelerator devices nodes keep_checkpoints",
        "front_end data views encoder objective training monitor",
    }
    known = set(" ".join(plain).split())
    bare = []
    for node in ast.parse(Path(config.__file__).read_text()).body:
        if isinstance(node, ast.ClassDef):
            assert ast.get_docstring(node)
            for field, text in zip(node.body, [*node.body[1:], None], strict=True):
                if isinstance(field, ast.AnnAssign) and not isinstance(text, ast.Expr):
                    bare.append(field.target.id)
    assert set(bare) <= known


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--objective.diference_weight=0.2"], "Did you mean 'objective.difference_weight'"),
        (["--training.batch_size=2"], "Did you mean 'data.batch_size'"),
        (["--objective.difference_weight=half"], "objective.difference_weight"),
        (["--objective.difference_weight=2"], "must be in [0, 1], not 2"),
        (["--data.source=packed"], "data.source 'packed' needs data.root"),
        (
            ["--training.steps=null"],
            "never end: give training.steps or training.minutes",
        ),
        (
            ["--data.source=shards", "--data.root=a.tar", "--training.steps=null"],
            "never end: give training.steps or training.minutes",
        ),
        (["--resum=auto"], "Did you mean 'resume'"),
    ],
)
def test_wrong_setting_is_told_without_a_traceback(options, told, capsys):
    path = REPOSITORY / "configs" / "pretrain" / "procedural.yaml"
    with pytest.raises(SystemExit) as exit_:
        parse_args(["--config", str(path), *options])
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error


def test_missing_root_is_told(capsys):
    with pytest.raises(SystemExit):
        parse_args(["--config", str(REPOSITORY / "configs" / "pretrain" / "diff2024.yaml")])
    assert "data.source 'folder' needs data.root" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--config", "diff2024"], ["--config=diff2024"]])
def test_a_published_configuration_is_found_by_its_name(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = ["--data.root", "data/clips"]
    by_path = parse_args(["--config", str(REPOSITORY / "configs/pretrain/diff2024.yaml"), *root])
    assert parse_args([*words, *root]) == by_path


def test_a_file_goes_before_a_published_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("diff2024").write_text("data: {root: sounds}\nseed: 9\n")
    assert parse_args(["--config", "diff2024"])[0].seed == 9


def test_names_of_published_configurations_are_in_the_help(capsys):
    with pytest.raises(SystemExit):
        parse_args(["--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert all(path.stem in printed for path in PRETRAIN)


@pytest.mark.parametrize("option", ["--config={}", "--config {}"])
def test_a_file_whose_lines_stand_for_others_is_refused(tmp_path, capsys, option):
    layers = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    layers += [
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    (tmp_path / "bomb.yaml").write_text("\n".join(layers))
    with pytest.raises(SystemExit):
        parse_args(option.format(tmp_path / "bomb.yaml").split())
    assert "bomb.yaml: has YAML aliases" in capsys.readouterr().err
