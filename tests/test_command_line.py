import argparse
from dataclasses import dataclass, field
from typing import Literal

import pytest

from byola_diff.command_line import HelpfulParser, exit_status


@dataclass(frozen=True, kw_only=True)
class Oven:
    degrees: int = 180
    """Of the air, not the cake."""
    heat: Literal["top", "bottom"] = "top"


@dataclass(frozen=True, kw_only=True)
class Cake:
    """A cake."""

    eggs: int = 3
    oven: Oven = field(default_factory=Oven)
    fan: Oven = field(default_factory=Oven)


@pytest.fixture
def parser():
    parser = HelpfulParser(prog="bake", description="Bake.\n\n    bake --eggs 4")
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(Cake)
    return parser


def refusal(parser, arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        parser.parse_args(arguments)
    assert exit_.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "given", "meant"),
    [
        (["--egs=4"], "egs", "eggs"),
        (["--oven.degree=4"], "oven.degree", "oven.degrees"),
        (["--ovn.degrees=4"], "ovn.degrees", "oven.degrees"),
        (["--oven.eggs=4"], "oven.eggs", None),
        (["--degrees=4"], "degrees", None),
    ],
)
def test_unknown_option_is_named_with_the_nearest(parser, arguments, given, meant, capsys):
    error = refusal(parser, arguments, capsys)
    assert f"unrecognized arguments: --{given}" in error
    assert (f"Did you mean '{meant}' for '{given}'?" in error) == (meant is not None)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("egs: 4", ["'egs'", "Did you mean 'eggs' for 'egs'?"]),
        ("oven: {degreees: 4}", ["Did you mean 'oven.degrees' for 'oven.degreees'?"]),
        ("oven: {colour: red}", ["'colour'", "'oven' takes: degrees, heat"]),
        ("ovens: {degrees: 4}", ["Did you mean 'oven.degrees' for 'ovens.degrees'?"]),
        ("oven: {degrees: hot}", ["oven.degrees", "int", "hot"]),
        ("oven: {heat: side}", ["oven.heat", "'top', 'bottom'", "side"]),
        ("eggs: [1", ["config"]),
    ],
)
def test_wrong_key_or_value_of_a_file(parser, content, told, tmp_path, capsys):
    path = tmp_path / "cake.yaml"
    path.write_text(content)
    error = refusal(parser, ["--config", str(path)], capsys)
    assert error.startswith("bake: error: ")
    for words in told:
        assert words in error


def test_errors_speak_of_keys_and_not_of_python(parser, capsys):
    error = refusal(parser, ["--oven.degrees=hot"], capsys)
    assert "oven.degrees: expected int. Got value: hot" in error
    error = refusal(parser, ["--oven.heat=side"], capsys)
    assert "oven.heat: expected one of 'top', 'bottom'. Got value: side" in error


def test_missing_file(parser, tmp_path, capsys):
    path = tmp_path / "none.yaml"
    assert str(path) in refusal(parser, ["--config", str(path)], capsys)


def test_options_override_the_file(parser, tmp_path):
    (tmp_path / "cake.yaml").write_text("eggs: 5\noven: {degrees: 200}\n")
    found = parser.parse_args(["--config", str(tmp_path / "cake.yaml"), "--eggs=6"])
    assert (found.eggs, found.oven.degrees, found.oven.heat) == (6, 200, "top")


def test_names_are_not_guessed(parser, capsys):
    assert "Did you mean 'eggs' for 'egg'?" in refusal(parser, ["--egg=4"], capsys)


ABOUT = "Bake.\n\n    bake --eggs 4\n\nAny oven will do, in\nany kitchen.\n"


def test_the_brief_help_leaves_out_what_is_rare(capsys):
    parser = HelpfulParser(
        prog="bake", description=ABOUT, details="Ovens differ.", epilog="Enjoy your meal."
    )
    parser.add_argument("--eggs", help="how many")
    parser.add_argument("--salt", help="a pinch").is_rare = True
    parser.add_argument("--secret", help=argparse.SUPPRESS).is_rare = True
    brief = parser.format_help()
    assert "how many" in brief
    assert "bake --eggs 4" in brief
    assert not [word for word in ("salt", "Any oven", "differ", "secret") if word in brief]
    assert brief.endswith("1 more option: bake --help-all\n\nEnjoy your meal.\n")
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args(["--help-all"])
    whole = capsys.readouterr().out
    assert stopped.value.code == 0
    assert [word for word in ("how many", "a pinch", ABOUT, "differ") if word in whole] == [
        *("how many", "a pinch", ABOUT, "differ")
    ]
    assert "secret" not in whole
    assert parser.format_help() == brief  # nothing stays hidden, or changed
    assert parser.parse_args(["--salt", "x"]).salt == "x"


def test_help_keeps_the_lines_of_the_description(parser):
    assert "Bake.\n\n    bake --eggs 4\n" in parser.format_help()


def test_help_explains_the_keys(parser):
    whole, brief = parser.format_whole_help(), parser.format_help()
    assert "Of the air, not the cake. (type: int, default: 180)" in " ".join(whole.split())
    assert "Of the air, not the cake (default: 180)" in " ".join(brief.split())


def test_a_missing_file_is_named_and_nothing_else_is_guessed(parser, tmp_path, capsys):
    with pytest.raises(SystemExit):
        parser.parse_args(["--config", str(tmp_path / "configs/eggs.yaml")])
    told = capsys.readouterr().err
    assert "configs/eggs.yaml" in told
    assert "Did you mean" not in told


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (None, 0, ""),
        (ValueError("too few"), 2, "bake: too few\n"),
        (KeyboardInterrupt(), 130, "\nbake: stopped; the same command goes on from here\n"),
    ],
)
def test_how_a_command_ends(error, status, told, capsys):
    def run():
        if error is not None:
            raise error

    assert exit_status("bake", run, (ValueError,)) == status
    assert capsys.readouterr().err == told


def test_a_fault_of_the_code_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        exit_status("bake", lambda: 1 // 0, (ValueError,))
    assert exit_status("bake", lambda: 2, ()) == 2
