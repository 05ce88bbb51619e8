"""Every command of the README, in its order, with settings small enough for a test."""

import dataclasses
import importlib
import re
import runpy
import shlex
import sys
from pathlib import Path
from shutil import copyfile

import pytest
import torch

from byola_diff import config
from byola_diff.__main__ import COMMANDS
from byola_diff.audio.files import write_wav
from byola_diff.sounds import training_batch

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text()
SMALL = shlex.split(
    "--encoder.name AudioNTT2020 --encoder.dim 512 --training.steps 2 --training.accelerator cpu "
    "--training.projection_hidden 16 --training.projection_dim 8 --training.logger none "
    "--data.batch_size 4 --data.num_workers 0 --data.statistics_clips 8 --views.mixup_memory 8"
)

# Fewer events, learning rates and seeds than those of the commands, which take too long here.
PROBE = shlex.split("--learning-rates 1e-3 --seeds 0")
QUICK = {
    "evaluate.py additivity": shlex.split(
        "--events 10 --seeds 0 --snr-db 0 10 --polyphony-clips 0 --duration-s 1"
    ),
    "evaluate.py bgknown": shlex.split("--seeds 0"),
    "evaluate.py retrieval": shlex.split("--epochs 2 --seeds 42"),
    "datasets/make_bgknown_esc50.py": shlex.split(
        "--clips-per-label 5 --limit 70 --sample-rate 16000 --workers 1"
    ),
    "datasets/make_apwd.py": shlex.split(
        "--pairs-dev 12 --pairs-eval 4 --per-label 5 --sample-rate 16000 --workers 1"
    ),
    **{f"evaluate.py {verb}": PROBE for verb in ("linear", "layers", "fusion")},
}


SCRIPTS = {
    "demo": "-m byola_diff.demo",
    "doctor": "-m byola_diff doctor",
    "pretrain": "train.py",
    "evaluate": "evaluate.py",
    "export": "-m byola_diff.export",
    "push": "-m byola_diff.commands.push",
    "deploy": "-m byola_diff.deploy",
    "adapter": "-m byola_diff adapter",
    "explore": "-m byola_diff.commands.explore",
    "prepare clips": "datasets/prepare_clips.py",
    "prepare task": "datasets/prepare_task.py",
    "make sounds": "datasets/make_sounds.py",
    "make free-corpus": "datasets/make_free_corpus.py",
    "make bgknown": "datasets/make_bgknown_esc50.py",
    "make apwd": "datasets/make_apwd.py",
    "render apwd": "datasets/render_apwd.py",
}


def blocks(language, page=README):
    return re.findall(rf"```{language}\n(.*?)```", page, re.S)


def commands(page=README):
    """Lines of the shell blocks, continuations joined and comments dropped."""
    text = "\n".join(blocks("sh", page)).replace("\\\n", " ")
    lines = (shlex.split(line, comments=True) for line in text.splitlines())
    return [as_script(words) for words in lines if words and words[0] in ("python", "byola-diff")]


def as_script(words):
    """The call of the script that does the same as `byola-diff ...`."""
    if words[0] == "python":
        return words
    for name, script in SCRIPTS.items():
        if words[1 : 1 + len(name.split())] == name.split():
            return ["python", *script.split(), *words[1 + len(name.split()) :]]
    raise AssertionError(f"no such command: {' '.join(words)}")


def run(words, monkeypatch):
    """One `python FILE ...` or `python -m MODULE ...`, in this process."""
    module = words[2] if words[1] == "-m" else None
    arguments = words[3:] if module else words[2:]
    if words[1] == "train.py":
        arguments += SMALL
    monkeypatch.setattr(sys, "argv", [words[1], *arguments])
    status = None
    try:
        if module:
            importlib.import_module(module).main()
        else:
            runpy.run_path(str(REPOSITORY / words[1]), run_name="__main__")
    except SystemExit as stop:
        status = stop.code
    assert status in (None, 0), f"{' '.join(words)}: {status}"


def expanded(word):
    """What a shell makes of a word with a star."""
    return sorted(map(str, Path().glob(word))) if "*" in word else [word]


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder like a checkout, with recordings in DIR and a labelled manifest."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(REPOSITORY / "configs")
    rows = ["file,label,split"]
    for number, waveform in enumerate(training_batch(0, torch.arange(12), 16_000, 16_000)):
        write_wav(tmp_path / f"DIR/nested/{number}.wav", waveform.numpy(), 16_000)
        split = "train" if number < 8 else "test"
        rows.append(f"DIR/nested/{number}.wav,{'even' if number % 2 == 0 else 'odd'},{split}")
    copyfile(tmp_path / "DIR/nested/0.wav", tmp_path / "DIR/a.wav")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


@pytest.mark.slow
def test_every_command_runs(workplace, monkeypatch, capsys):
    found = commands()
    assert len(found) >= 8
    for words in found:
        if "--training.devices" in words:
            continue  # tests/test_distributed_training.py
        words = [match for word in words for match in expanded(word)]
        quick = QUICK.get(words[1]) or QUICK.get(" ".join(words[1:3]), ())
        run([*words, *quick], monkeypatch)
    assert (workplace / "runs/mine/bundle/model.safetensors").is_file()
    assert (workplace / "embeddings.npy").is_file()
    assert "log-mel-statistics" in (workplace / "report.html").read_text()
    for block in blocks("python"):
        scope = {}
        exec(block, scope)
        assert scope["clip_embeddings"].shape == (4, 3072)


def test_settings_that_are_named_exist():
    options = set(re.findall(r"--((?:data|training|objective|monitor)\.\w+)", README))
    sections = {
        "data": config.DataConfig,
        "training": config.TrainingConfig,
        "objective": config.ObjectiveConfig,
        "monitor": config.MonitorConfig,
    }
    for option in options:
        section, name = option.split(".")
        assert name in {field.name for field in dataclasses.fields(sections[section])}, option


def test_short_enough_to_read():
    assert len(README.splitlines()) < 200


def test_files_that_are_named_exist():
    for path in re.findall(r"`((?:configs|datasets|byola_diff|docs)/[\w./]+)`", README):
        assert (REPOSITORY / path).exists(), path
    assert (REPOSITORY / "docs/method.svg").is_file()


def test_each_command_has_a_script():
    assert SCRIPTS.keys() == COMMANDS.keys()
    for script in SCRIPTS.values():
        assert script.startswith("-m ") or (REPOSITORY / script).is_file()
