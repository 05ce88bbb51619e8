import json
import re

import pytest
import yaml

from byola_diff.demo import encoders, options, page, pretraining, run, sounds
from byola_diff.demo.encoders import COMPARED, CONTINUED, LARGE, PLAIN, SMALL, START
from byola_diff.demo.options import DemoOptions
from byola_diff.demo.run import run_demo
from byola_diff.encoders.open import open_encoder
from tests import processes
from tests.bundles import write_bundle

CONFIG = {
    "data": {"source": "procedural", "batch_size": 4, "num_workers": 0, "statistics_clips": 8},
    "views": {"mixup_memory": 8},
    "encoder": {"name": "AudioNTT2020", "dim": 512},
    "training": {
        "steps": 2,
        "log_every": 1,
        "projection_hidden": 16,
        "projection_dim": 8,
        "logger": "none",
        "accelerator": "cpu",
    },
}
SMALL_SIZES = {"N_DRAWS": 2, "N_EVENTS": 8, "N_ITEMS": 20, "PER_LABEL": 10}


def run_quickly(name, *words):
    done = processes.run("-m", "byola_diff", *name.split(), *words)
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
    """A demo of a minute: its options, and how often commands were run."""
    folder, ran = tmp_path_factory.mktemp("demo"), []
    shipped, compared = stand_ins
    config = folder / "tiny.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    patch = pytest.MonkeyPatch()
    patch.setattr(encoders, "COMPARED", compared)
    patch.setattr(pretraining, "START", shipped[START])
    patch.setattr(options, "check_shipped", lambda: None)
    patch.setattr(sounds, "LABELS", ("alarm", "knocking"))
    for name, value in SMALL_SIZES.items():
        patch.setattr(sounds, name, value)

    def noted(*words):
        ran.append(words)
        run_quickly(*words)

    for module in (sounds, pretraining):
        patch.setattr(module, "run_command", noted)
    given = DemoOptions(out=folder / "out", config=config)
    run_demo(given)
    yield given, ran
    patch.undo()


@pytest.mark.slow
def test_writes_a_page_and_scores_of_all_encoders(demo):
    given, _ = demo
    html = (given.out / "report.html").read_text()
    assert re.findall(r'(?:src|href)="(?!data:)', html) == []  # opens without a network
    assert html.count("data:image/png;base64,") >= 3
    assert html.count("<audio") >= 3 * page._N_SHOWN
    facts = json.loads((given.out / "scores.json").read_text())
    assert list(facts["encoders"]) == [*(each.name for each in COMPARED), CONTINUED]
    for figures in facts["encoders"].values():
        assert set(figures) == {"accuracy", "cosine", "recall@1", "recall@5", "mix", "a", "b", "c"}
    assert facts["settings"]["clips"] == 40
    assert facts["settings"]["items"] == 40
    assert facts["settings"]["steps"] == 2


@pytest.mark.slow
def test_what_is_done_is_not_done_again(demo, capsys):
    given, ran = demo
    scores = json.loads((given.out / "scores.json").read_text())["encoders"]
    assert len(ran) == 4  # two draws of items, the pretraining, the export
    run_demo(given)
    assert len(ran) == 4
    assert "naming" not in capsys.readouterr().out
    assert json.loads((given.out / "scores.json").read_text())["encoders"] == scores


@pytest.mark.slow
def test_another_seed_needs_another_folder(demo):
    given, _ = demo
    other = DemoOptions(out=given.out, config=given.config, seed=1)
    with pytest.raises(FileExistsError, match="choose another --out"):
        run_demo(other)


def test_a_failure_is_said_in_a_line(tmp_path, capsys):
    assert run.main(["--config", str(tmp_path / "none.yaml")]) == 2
    error = capsys.readouterr().err
    assert "none.yaml: there is no such file" in error
    assert "Traceback" not in error
