"""docs/commands.md is true: every command, its purpose, an example of it, and its exit statuses."""

import re
import shlex
from importlib import import_module

import pytest

from byola_diff import __main__ as program
from byola_diff.commands.evaluate import VERBS
from tests.helpers import REPOSITORY

PAGE = (REPOSITORY / "docs/commands.md").read_text()
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
SCREEN = 40


def rows_of(names):
    found = {row[0].strip("`"): row for row in ROWS}
    return {name: found[name] for name in names}


def help_of(words, capsys):
    """What `byola-diff WORDS` prints, and its exit status."""
    with pytest.raises(SystemExit) as stopped:
        program.main(words)
    return capsys.readouterr().out, stopped.value.code


EVERY = [name.split() for name in program.COMMANDS] + [["evaluate", verb] for verb in VERBS]


def test_every_command_is_in_the_page_with_its_purpose():
    for name, (_, about, *_) in rows_of(program.COMMANDS).items():
        assert about == program.COMMANDS[name][1]
    for name, (_, about, *_) in rows_of(VERBS).items():
        told = (VERBS[name].__doc__ or "").splitlines()[0].rstrip(".")
        assert about == told[0].lower() + told[1:]


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_examples_are_calls_of_the_command(words, capsys):
    table = rows_of(VERBS if words[0] == "evaluate" and len(words) > 1 else program.COMMANDS)
    example = table[words[-1] if words[0] == "evaluate" else " ".join(words)][2].strip("`")
    if words == ["evaluate"]:
        assert example == "the verbs below"
        return
    given = shlex.split(example)
    assert given[: 1 + len(words)] == ["byola-diff", *words]
    known, _ = help_of([*words, "--help-all" if words != ["doctor"] else "--help"], capsys)
    for option in (word for word in given if word.startswith("--")):
        assert re.search(rf"^  (-\w, )?{option}\b", known, re.M), option


@pytest.mark.parametrize("words", [[], *EVERY], ids=" ".join)
def test_help_is_a_screen(words, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    brief, status = help_of([*words, "--help"], capsys)
    assert status == 0
    lines = brief.splitlines()
    assert len(lines) <= SCREEN, len(lines)
    assert max(map(len, lines)) <= 105  # a purpose is a line
    if words != ["doctor"]:
        whole, status = help_of([*words, "--help-all"], capsys)
        assert status == 0
        assert options_of(brief) <= options_of(whole)
        told = re.search(r"^(\d+) more options?: ", brief, re.M)
        n_more = int(told[1]) if told else 0
        assert len(options_of(whole) - options_of(brief)) == n_more


def options_of(text):
    return set(re.findall(r"^  (?:-\w, )?(--[\w.-]+)", text, re.M))


def status_of(words):
    try:
        return program.main(words) or 0
    except SystemExit as stopped:
        return 1 if isinstance(stopped.code, str) else stopped.code or 0


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ([], 0),
        (["doctor", "--help"], 0),
        (["make", "sounds", "{}/sounds", "--clips", "1", "--test-share", "0"], 0),
        (["pretrian"], 2),
        (["doctor", "--jsonn"], 2),
        (["make", "sounds", "{}/sounds"], 2),
        (["make", "sounds", "{}/sounds", "--clips", "0"], 2),
        (["pretrain", "--training.lr", "0"], 2),
        (["evaluate", "linear", "--encoder", "x"], 2),
        (["pretrain", "--config", "diff2024", "--data.root", "{}/none", "--out_dir", "{}/run"], 1),
        (["export", "{}/none.ckpt", "{}/bundle"], 2),
        (["prepare", "clips", "{}", "{}/packed", "--sample-rate", "16000"], 2),
        (["evaluate", "linear", "--encoder", "mean-power", "--manifest", "{}/none.csv"], 2),
        (["evaluate", "report", "{}/none"], 2),
        (["prepare", "task", "esc50", "{}"], 2),
    ],
)
def test_exit_statuses(words, status, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert status_of([word.format(tmp_path) for word in words]) == status
    assert any(row[0] == str(status) for row in ROWS)


@pytest.mark.parametrize(("end", "status"), [("KeyboardInterrupt", 130), ("TerminatedError", 143)])
@pytest.mark.parametrize("name", ["make sounds", "prepare clips", "pretrain", "evaluate embed"])
def test_what_is_stopped_has_the_status_of_the_page(name, end, status, tmp_path, monkeypatch):
    from byola_diff.stopping import TerminatedError

    kinds = {"KeyboardInterrupt": KeyboardInterrupt, "TerminatedError": TerminatedError}

    def stop(*_, **__):
        raise kinds[end]

    work = {
        "make sounds": ("byola_diff.commands.make_sounds", "plan", "OUT --clips 1"),
        "prepare clips": ("byola_diff.commands.prepare_clips", "plan_store", "D O --sample-rate 8"),
        "pretrain": ("byola_diff.commands.run_pretraining", "find_checkpoint", "--data.root D"),
        "evaluate embed": (
            "byola_diff.evaluation.linear.run",
            "read_task",
            "--encoder mean-power --manifest m.csv --out e.npy",
        ),
    }
    module, function, words = work[name]
    monkeypatch.setattr(import_module(module), function, stop)
    monkeypatch.chdir(tmp_path)
    assert status_of([*name.split(), *words.split()]) == status
    assert any(row[0] == str(status) for row in ROWS)
