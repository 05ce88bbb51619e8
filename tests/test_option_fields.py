from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest

from byola_diff.command_line import read_options
from byola_diff.option_fields import POSITIONAL, RARE, Count, arguments_of, one_of


@dataclass(frozen=True, kw_only=True)
class Kitchen:
    power_w: Count = 800
    """Of all plates, 100 % of the time."""
    dry_run: bool = False
    """Cook nothing."""


@dataclass(frozen=True, kw_only=True)
class Meal(Kitchen):
    dish: Annotated[str, POSITIONAL, one_of(["soup", "stew"]), "DISH"]
    """What is cooked."""
    spices: Annotated[list[str], "SPICE"]
    """Pepper, or others."""
    book: Annotated[Path, "FILE"] | None = None
    guests: list[Annotated[int, "N"]] = field(default_factory=lambda: [2, 4])
    """At each table."""
    range_c: Annotated[tuple[float, float], "LOW", "HIGH"] = (60.0, 95.0)
    heat: Literal["gas", "wood"] = "gas"

    def __post_init__(self):
        if self.range_c[0] > self.range_c[1]:
            raise ValueError("--range-c must begin with the lower one")


def read(*words):
    return read_options(Meal, [*words], prog="cook", description="Cook.")


def refusal(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        read(*words)
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_words_become_values_of_their_types():
    meal = read("soup", "--spices", "null", "[1]", "--book", "1", "--guests", "-3", "--dry-run")
    assert meal == Meal(
        dish="soup", spices=["null", "[1]"], book=Path("1"), guests=[-3], dry_run=True
    )
    assert read("stew", "--spices=a", "--range-c", "-5", "1e1").range_c == (-5.0, 10.0)


def test_defaults():
    meal = read("soup", "--spices", "salt")
    assert meal == Meal(dish="soup", spices=["salt"])
    assert (meal.power_w, meal.guests, meal.range_c) == (800, [2, 4], (60.0, 95.0))


def test_defaults_are_not_shared():
    read("soup", "--spices", "salt").guests.append(9)
    assert read("soup", "--spices", "salt").guests == [2, 4]


@pytest.mark.parametrize("option", ["--power-w=7", "--power_w=7"])
def test_dashes_and_underscores_are_the_same(option):
    assert read("soup", "--spices", "salt", option).power_w == 7


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["soup"], "cook: error: the following arguments are required: --spices"),
        (["--spices", "x"], "required: DISH"),
        (["salad", "--spices=x"], "argument DISH: 'salad' is none of soup, stew"),
        (["soup", "--spices=x", "--power-w=0"], "argument --power-w: '0' is no positive whole"),
        (["soup", "--spices=x", "--guests=few"], "argument --guests: invalid int value: 'few'"),
        (["soup", "--spices=x", "--heat=coal"], "argument --heat: invalid choice: 'coal'"),
        (["soup", "--spices=x", "--range-c=1"], "argument --range-c: expected 2 arguments"),
        (["soup", "--spices=x", "--range-c", "2", "1"], "error: --range-c must begin with the low"),
        (["soup", "--spices=x", "--pover-w=1"], "Did you mean 'power-w' for 'pover-w'?"),
        (["soup", "--spices=x", "--spice=y"], "Did you mean 'spices' for 'spice'?"),
    ],
)
def test_mistakes_are_named(words, message, capsys):
    error = refusal(capsys, *words)
    assert message in error
    assert "Did you mean" not in error or "Did you mean" in message
    assert error.endswith("All keys: cook --help-all\n")


def test_help(capsys):
    with pytest.raises(SystemExit) as stopped:
        read("--help")
    assert stopped.value.code == 0
    lines = " ".join(capsys.readouterr().out.split())
    assert "--power-w N Of all plates, 100 % of the time (default: 800)" in lines
    assert "--guests N [N ...] At each table (default: 2 4)" in lines
    assert "--range-c LOW HIGH (default: 60.0 95.0)" in lines
    assert "--dry-run Cook nothing." in lines
    assert "DISH What is cooked." in lines


def test_fields_of_the_class_itself_come_first():
    names = [flag for flag, *_ in arguments_of(Meal)]
    assert names[:2] == ["dish", "--spices"]
    assert names[-2:] == ["--power-w", "--dry-run"]


@dataclass(frozen=True, kw_only=True)
class Feast:
    guests: Count = 2
    toasts: Annotated[Count, RARE] = 1
    seats: Annotated[list[Annotated[int, "N"]], RARE] | None = None
    fire: Annotated[Literal["open", "none"], RARE] = "none"
    music: Annotated[bool, RARE] = False


def test_rare_options_are_left_out_of_the_brief_help_alone(capsys):
    def read_feast(*words):
        return read_options(Feast, words, prog="feast", description="Feast.", details="A toast!")

    for word, n_shown in (("--help", 1), ("--help-all", 5)):
        with pytest.raises(SystemExit):
            read_feast(word)
        printed = capsys.readouterr().out
        shown = [name for name in ("guests", "toasts", "seats", "fire", "music") if name in printed]
        assert len(shown) == n_shown
        assert ("A toast!" in printed) == (n_shown == 5)
    words = ("--toasts", "3", "--seats", "1", "2", "--fire", "open", "--music")
    assert read_feast(*words) == Feast(toasts=3, seats=[1, 2], fire="open", music=True)


def test_home_folder_where_no_shell_puts_it(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")

    @dataclass
    class Options:
        out: Path = Path("x")
        """Where to."""

    [(_, how, _)] = arguments_of(Options)
    assert how["type"]("~/a") == Path("/home/someone/a")
    assert how["type"]("a~") == Path("a~")
