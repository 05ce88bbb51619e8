"""The command `byola-diff`: names of commands, help, and what is handed on."""

import sys
from importlib import import_module
from types import SimpleNamespace

import pytest

import byola_diff
from byola_diff import __main__ as program


def status(*words):
    with pytest.raises(SystemExit) as stopped:
        program.main(words)
    return stopped.value.code


@pytest.mark.parametrize("words", [[], ["--help"], ["help"], ["make", "--help"]])
def test_help_lists_all_commands(words, capsys):
    assert status(*words) == 0
    printed = capsys.readouterr().out
    for name, (_, about) in program.COMMANDS.items():
        assert f"    {name}" in printed
        assert about in printed


def test_half_a_command_is_an_error(capsys):
    assert status("prepare") == 2
    assert "prepare what? prepare clips or prepare task" in capsys.readouterr().err


def test_version(capsys):
    assert program.main(["--version"]) == 0
    assert capsys.readouterr().out == f"byola-diff {byola_diff.__version__}\n"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["pretrian"], "pretrain"),
        (["make", "souns"], "make sounds"),
        (["render", "--jams", "x"], None),
        (["xyz"], None),
    ],
)
def test_unknown_commands(words, meant, capsys):
    code = status(*words)
    told = capsys.readouterr()
    if words[0] == "render":  # an option before the whole name: the help says what there is
        assert code == 0
        assert "render apwd" in told.out
        return
    assert code == 2
    assert (f"did you mean '{meant}'?" in told.err) == (meant is not None)


def test_words_and_name_are_handed_on(monkeypatch):
    calls = []

    def main(arguments, prog):
        calls.append((arguments, prog))
        return 2

    monkeypatch.setitem(sys.modules, "byola_diff.commands.make_sounds", SimpleNamespace(main=main))
    assert program.main(["make", "sounds", "out", "--clips", "3"]) == 2
    monkeypatch.setattr(sys, "argv", ["byola-diff", "make", "sounds", "x"])
    assert program.main() == 2
    assert calls == [
        (["out", "--clips", "3"], "byola-diff make sounds"),
        (["x"], "byola-diff make sounds"),
    ]


@pytest.mark.parametrize("name", program.COMMANDS)
def test_help_of_each_command_names_the_command_and_no_script(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        import_module(program.COMMANDS[name][0]).main(["--help"], prog=f"byola-diff {name}")
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: byola-diff {name} ")
    assert "python " not in printed
