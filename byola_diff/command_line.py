"""Command lines: options from a dataclass, and errors that say which key was meant."""

import argparse
import copy
import difflib
import io
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace, set_parsing_settings

from byola_diff.atomic import UNDECODABLE
from byola_diff.cores import SHARING_HELP
from byola_diff.option_fields import arguments_of
from byola_diff.stopping import TerminatedError, stoppable

Options = TypeVar("Options")

_IN_GROUP = re.compile(r"Group '([\w.]+)' does not accept option '([\w.]+)'")
_WORDING = (
    (r'Parser key "([^"]+)":\s*', r"\1: "),
    (r"<class '(?:\w+\.)*(\w+)'>", r"\1"),
    (r"typing\.Literal\[([^\]]*)\]", r"one of \1"),
    (r"Expected an? ", "expected "),
    (r"Does not validate against any of the Union subtypes", "none of these types fits"),
)
"""What of jsonargparse's errors speaks of Python and of a parser, and what says it to a user."""
_SCRIPT = re.compile(r"python (?:datasets/\w+|train|evaluate)\.py")
_MISSING = "the following arguments are required: "
_HELP_COLUMN = 32
_ADVICE_WOULD_MISLEAD = ("argument ", "-")
"""Beginnings of errors about values: their words are no misspelt keys."""


def read_options(
    kind: type[Options],
    words: Sequence[str] | None,
    *,
    prog: str,
    description: str | None,
    epilog: str | None = None,
    details: str | None = None,
) -> Options:
    """The options that a command line gives, as an object of the dataclass `kind`.

    Each field is an option, as `byola_diff.option_fields.arguments_of` says. `words` of None are
    those of this process. In the help, `prog` stands instead of `python SCRIPT`; `details` are in
    that of `--help-all` alone. A `ValueError` of `kind`, for options that do not go together, ends
    the program.
    """
    parser = HelpfulParser(
        prog=prog,
        description=called(prog, description),
        epilog=called(prog, epilog),
        details=f"{details}\n\n{SHARING_HELP}" if details else SHARING_HELP,
    )
    for flag, how, text in arguments_of(kind):
        is_rare = how.pop("rare")
        action = parser.add_argument(flag, **how)
        action.whole_help, action.is_rare = text, is_rare  # type: ignore[attr-defined]
    values = vars(parser.parse_args(words))
    for action in parser._actions:
        if isinstance(action.nargs, int) and isinstance(values.get(action.dest), list):
            values[action.dest] = tuple(values[action.dest])
    try:
        return kind(**values)
    except ValueError as error:
        parser.error(str(error))


def choose_command(
    words: Sequence[str], commands: Mapping[str, str], *, prog: str, description: str | None
) -> str:
    """The one of `commands` that the first word names; anything else ends the program.

    `commands` says what each is for.
    """
    width = max(map(len, commands))
    listing = "commands:\n" + "\n".join(
        f"    {name:<{width}}  {text}" for name, text in commands.items()
    )
    parser = HelpfulParser(prog=prog, description=called(prog, description), epilog=listing)
    parser.add_argument("command", choices=list(commands), metavar="COMMAND", help="see below")
    first = next(iter(words), "") or "--help"
    near = difflib.get_close_matches(first, commands, n=1)
    if first not in commands and near and not first.startswith("-"):
        parser.error(f"argument COMMAND: there is no {first!r}, did you mean {near[0]!r}?")
    return parser.parse_args([first]).command


def called(prog: str, text: str | None) -> str | None:
    """A text in which the installed command stands for `python SCRIPT`, if that is what was run."""
    command = " ".join(prog.split()[:3])
    if not prog.startswith("byola-diff") or text is None:
        return text
    return _SCRIPT.sub(" ".join(prog.split()[:2]) if "evaluate" in prog else command, text)


def exit_status(
    prog: str, run: Callable[[], int | None], errors: tuple[type[Exception], ...]
) -> int:
    """What `run` returns; 2 after one of `errors`, which is said in a line.

    130 after Ctrl-C, 143 after SIGTERM.
    """
    from byola_diff.threads import sharing_cores  # torch, for which no help should wait

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=UNDECODABLE)
    try:
        with stoppable(), sharing_cores():
            return run() or 0
    except errors as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"\n{prog}: stopped; the same command goes on from here", file=sys.stderr)
        return 143 if isinstance(stop, TerminatedError) else 130


class _KeepLines(argparse.RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Shows the description as it was written, and the help of `read_options`."""

    def __init__(self, prog: str, **settings: Any) -> None:
        super().__init__(prog, max_help_position=_HELP_COLUMN, **settings)

    def _get_help_string(self, action: argparse.Action) -> str:
        whole = getattr(action, "whole_help", None)
        return super()._get_help_string(action) if whole is None else whole


class _HelpAll(argparse._HelpAction):
    """Prints the whole help, and ends the program."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        assert isinstance(parser, HelpfulParser)
        print(parser.format_whole_help(), end="")
        parser.exit()


class HelpfulParser(ArgumentParser):
    """A parser of configuration files and options that names the nearest valid key.

    Dashes and underscores in names of options are the same: `--out-dir` is `--out_dir`. The help is
    brief: what has an attribute `is_rare` that is true, what the description says below its first
    example, all but the first sentence of settings, and `details` are in that of `--help-all`.
    """

    def __init__(self, *, details: str | None = None, **settings: Any) -> None:
        # The help shows the text below each field of a configuration class.
        set_parsing_settings(docstring_parse_attribute_docstrings=True)
        super().__init__(formatter_class=_KeepLines, allow_abbrev=False, **settings)
        self.details = details
        self.add_argument("--help-all", action=_HelpAll, help="show all there is to know, and exit")

    def format_help(self, formatter: argparse.HelpFormatter | None = None) -> str:
        """The brief help, which says how much is left out of it."""
        brief = copy.copy(self)
        shown = [action for action in self._actions if action.help != argparse.SUPPRESS]
        often = [action for action in shown if not getattr(action, "is_rare", False)]
        brief._actions = [_briefly(action) for action in often]
        groups: list[Any] = [copy.copy(self._positionals), copy.copy(self._optionals)]
        for group, has_name in zip(groups, (False, True), strict=True):
            group._group_actions = [a for a in brief._actions if bool(a.option_strings) == has_name]
        brief._action_groups = groups
        brief.description = self.description and _up_to_example(self.description)
        if n_rare := len(shown) - len(often):
            more = f"{n_rare} more option{'s' if n_rare > 1 else ''}: {self.prog} --help-all"
            brief.epilog = f"{more}\n\n{self.epilog}" if self.epilog else more
        return super(HelpfulParser, brief).format_help(formatter)

    def format_whole_help(self) -> str:
        """All options and texts."""
        whole = super().format_help()
        return f"{whole}\n{self.details}\n" if self.details else whole

    def parse_args(self, args: Sequence[str] | None = None, *more: Any, **how: Any) -> Namespace:  # type: ignore[override]
        """As of the base class, with names of options in the spelling that the parser knows."""
        words = [self._known_spelling(word) for word in (sys.argv[1:] if args is None else args)]
        return super().parse_args(words, *more, **how)

    def _known_spelling(self, word: str) -> str:
        name, equals, value = word.partition("=")
        if name.startswith("--") and name not in self._option_string_actions:
            for known in (name.replace("-", "_").replace("__", "--", 1), f"--{_dashed(name[2:])}"):
                if known in self._option_string_actions:
                    return f"{known}{equals}{value}"
        return word

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Exit with status 2, the message, and the key nearest to an unknown one."""
        for pattern, words in _WORDING:
            message = re.sub(pattern, words, message)
        if "does not exist" in message:  # of a file: its path holds words like keys
            self.exit(2, f"{self.prog}: error: {message}\n")
        if message.startswith(_MISSING):
            names = message.removeprefix(_MISSING).split(", ")
            flags = [(name, f"--{_dashed(name)}") for name in names]
            known = self._option_string_actions
            place = {action.dest: action.metavar for action in self._positionals._group_actions}
            shown = [f if f in known else str(place.get(name) or name) for name, f in flags]
            message = _MISSING + ", ".join(shown)
        elif not message.startswith(_ADVICE_WOULD_MISLEAD):
            message += self._advice(message)
        self.exit(2, f"{self.prog}: error: {message}\nAll keys: {self.prog} --help-all\n")

    def _advice(self, message: str) -> str:
        known = sorted(self.get_defaults(skip_validation=True).keys(branches=True))
        for word in _unknown_keys(message):
            near = _nearest_key(word.replace("-", "_"), known)
            if word.replace("-", "_") not in known and near:
                is_dashed = f"--{_dashed(near)}" in self._option_string_actions
                return f"\nDid you mean '{_dashed(near) if is_dashed else near}' for '{word}'?"
        in_group = _IN_GROUP.search(message)
        if not in_group:
            return ""
        # A key of a group that resembles none of it: what the group takes.
        group = f"{in_group[1]}."
        names = [key.removeprefix(group) for key in known if key.startswith(group)]
        return f"\n'{in_group[1]}' takes: {', '.join(names)}"


def _briefly(action: argparse.Action) -> argparse.Action:
    """The option of a setting with the first sentence of its help, and no type; others as are."""
    if hasattr(action, "whole_help") or isinstance(action, argparse._HelpAction):
        return action
    brief, default = copy.copy(action), action.default
    text = (action.help or "").partition(". ")[0].removesuffix(".")
    known = "" if default in (None, argparse.SUPPRESS) else f" (default: {default})"
    brief.whole_help = text + known  # type: ignore[attr-defined]
    return brief


def _up_to_example(description: str) -> str:
    """The text to the end of its first indented paragraph; all of it where there is none."""
    paragraphs = description.strip("\n").split("\n\n")
    ends = (n for n, text in enumerate(paragraphs, start=1) if text.startswith("  "))
    return "\n\n".join(paragraphs[: next(ends, None)]) + "\n"


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _unknown_keys(message: str) -> list[str]:
    """What may be a key in an error message of jsonargparse, with the group it was given in."""
    in_group = _IN_GROUP.search(message)
    if in_group:
        return [".".join(in_group.groups())]
    return re.findall(r"[A-Za-z_][\w.-]*", message)


def _nearest_key(word: str, known: list[str]) -> str | None:
    """The key that differs by a slip, or else one of the same name in another group."""
    slips = difflib.get_close_matches(word, known, n=1, cutoff=0.75)
    name = word.rpartition(".")[2]
    moved = [key for key in known if "." in word and key.endswith(f".{name}")]
    return next(iter(slips + moved), None)
