import json
import re

import pytest
import yaml

from byola_diff.demo import encoders, pretraining, run, sounds
from byola_diff.demo.encoders import COMPARED, CONTINUED, LARGE, PLAIN, SMALL
from byola_diff.demo.run import DemoOptions, begin, check_needs, run_demo
from byola_diff.encoders.open import open_encoder
from tests import processes
from tests.bundles import write_bundle
from tests.corpus import write_corpus

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
SMALL_SIZES = {"N_DRAWS": 2, "N_EVENTS": 8, "N_ITEMS": 20, "PER_LABEL": 10}


def run_quickly(*words):
    done = processes.run(*words)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory):
    """What is compared, with small networks of random weights for the encoders that come along."""
    folder, stand_ins = tmp_path_factory.mktemp("shipped"), {}
    training = {
        "data": {"unit_s": 0.5},
        "views": {"mixup_share": 0.2, "mixup_memory": 16, "fader_gain": 1.0},
    }
    for seed, name in enumerate((LARGE, SMALL, PLAIN)):
        encoder = open_encoder(f"untrained:AudioNTT2020:48:{seed}").encoder
        write_bundle(folder / name, encoder, training=training)
        stand_ins[name] = str(folder / name)
    compared = []
    for each in COMPARED:
        kind, colon, name = each.spec.rpartition(":")
        compared.append(each._replace(spec=f"{kind}{colon}{stand_ins.get(name, name)}"))
    return stand_ins, tuple(compared)


@pytest.fixture(scope="module")
def demo(tmp_path_factory, stand_ins):
    """A demo of a minute: its options, and how often scripts were run."""
    folder, ran = tmp_path_factory.mktemp("demo"), []
    shipped, compared = stand_ins
    config = folder / "tiny.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    patch = pytest.MonkeyPatch()
    patch.setattr(encoders, "COMPARED", compared)
    patch.setattr(pretraining, "SMALL", shipped[SMALL])
    patch.setattr(run, "check_shipped", lambda: None)
    patch.setattr(sounds, "LABELS", ("alarm", "knock"))
    for name, value in SMALL_SIZES.items():
        patch.setattr(sounds, name, value)

    def noted(*words):
        ran.append(words)
        run_quickly(*words)

    for module in (sounds, pretraining):
        patch.setattr(module, "run_script", noted)
    options = DemoOptions(out=folder / "out", config=config)
    run_demo(options)
    yield options, ran
    patch.undo()


@pytest.mark.slow
def test_writes_a_page_and_scores_of_all_encoders(demo):
    options, _ = demo
    page = (options.out / "report.html").read_text()
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []  # opens without a network
    assert page.count("data:image/png;base64,") >= 3
    assert page.count("<audio") >= 3 * run._N_SHOWN
    facts = json.loads((options.out / "scores.json").read_text())
    assert list(facts["encoders"]) == [*(each.name for each in COMPARED), CONTINUED]
    for figures in facts["encoders"].values():
        assert set(figures) == {"accuracy", "cosine", "recall@1", "recall@5", "mix", "a", "b", "c"}
    assert facts["settings"]["clips"] == 40
    assert facts["settings"]["items"] == 40
    assert facts["settings"]["steps"] == 2


@pytest.mark.slow
def test_what_is_done_is_not_done_again(demo, capsys):
    options, ran = demo
    scores = json.loads((options.out / "scores.json").read_text())["encoders"]
    assert len(ran) == 4  # two draws of items, the pretraining, the export
    run_demo(options)
    assert len(ran) == 4
    assert "naming" not in capsys.readouterr().out
    assert json.loads((options.out / "scores.json").read_text())["encoders"] == scores


@pytest.mark.slow
def test_another_seed_needs_another_folder(demo):
    options, _ = demo
    other = DemoOptions(out=options.out, config=options.config, seed=1)
    with pytest.raises(FileExistsError, match="choose another --out"):
        run_demo(other)


def test_other_settings_recordings_or_sizes_are_not_mixed(tmp_path, monkeypatch):
    write_corpus(tmp_path / "mine", column="fold")
    table = tmp_path / "mine/manifest.csv"
    options = DemoOptions(out=tmp_path / "out", events=table)
    begin(options)
    begin(options)
    for other in (
        DemoOptions(out=tmp_path / "out"),
        DemoOptions(out=tmp_path / "out", events=table, steps=3),
        DemoOptions(out=tmp_path / "out", events=table, backgrounds=tmp_path),
    ):
        with pytest.raises(FileExistsError, match="other settings"):
            begin(other)
    table.write_text(table.read_text().replace("low", "deep"))
    with pytest.raises(FileExistsError, match="other settings"):
        begin(options)
    monkeypatch.setattr(sounds, "N_DRAWS", 9)
    with pytest.raises(FileExistsError, match="other settings"):
        begin(DemoOptions(out=tmp_path / "out", events=table))


@pytest.mark.parametrize(
    ("given", "error", "reason"),
    [
        ({"config": "none.yaml"}, FileNotFoundError, "none.yaml is missing"),
        ({"events": "labels.csv"}, ValueError, "must be named manifest.csv"),
        ({"events": "manifest.csv"}, (OSError, ValueError), "manifest.csv"),
        ({"backgrounds": "none"}, FileNotFoundError, "--backgrounds .*none: there is no such"),
        ({"audio": "none"}, FileNotFoundError, "--audio .*none: there is no such folder"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_done(
    given, error, reason, tmp_path, monkeypatch
):
    monkeypatch.setattr(run, "check_shipped", lambda: None)
    paths = {name: tmp_path / word for name, word in given.items()}
    with pytest.raises(error, match=reason):
        check_needs(DemoOptions(out=tmp_path / "out", **paths))
    assert not (tmp_path / "out").exists()


def test_a_failure_is_said_in_a_line(tmp_path, capsys):
    assert run.main(["--config", str(tmp_path / "none.yaml")]) == 2
    error = capsys.readouterr().err
    assert "none.yaml is missing: run the demo in a checkout" in error
    assert "Traceback" not in error


def test_sources_in_words(tmp_path):
    options = DemoOptions(events=tmp_path / "bells/manifest.csv", audio=tmp_path / "trains")
    assert run.sources(options) == {
        "events": "recordings in bells",
        "backgrounds": "procedural sounds",
        "training": "recordings in trains",
    }
