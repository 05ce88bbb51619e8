"""Command lines: options from a dataclass, and errors that say which key was meant."""

import argparse
import ast
import difflib
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from importlib.util import find_spec
from itertools import pairwise
from types import NoneType
from typing import Annotated, Any, Literal, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace, set_parsing_settings

POSITIONAL = object()
"""In `Annotated`: the value is given by its place, without the name of the option."""

Options = TypeVar("Options")

_IN_GROUP = re.compile(r"Group '([\w.]+)' does not accept option '([\w.]+)'")
_SCRIPT = re.compile(r"python (?:datasets/\w+|train|evaluate)\.py")
_MISSING = "the following arguments are required: "
_ADVICE_WOULD_MISLEAD = ("argument ", "-")
"""Beginnings of errors about values: their words are no misspelt keys."""


def read_options(
    kind: type[Options],
    words: Sequence[str] | None,
    *,
    prog: str,
    description: str | None,
    epilog: str | None = None,
) -> Options:
    """The options that a command line gives, as an object of the dataclass `kind`.

    Each field is an option, the text below it is the help. A list takes one word or more, a tuple
    of fixed length as many, a `Literal` is a choice. `Annotated` has what types don't say: a
    function that converts and refuses words, names of values for the help, `POSITIONAL`.

    Args:
        kind: Raises ValueError for options that do not go together, which ends the program.
        words: Of the command line; those of this process if None.
        prog: Name of the program, in errors and instead of `python SCRIPT` in the help.
        description: For the help.
        epilog: Likewise.
    """
    texts = {"description": called(prog, description), "epilog": called(prog, epilog)}
    parser = HelpfulParser(prog=prog, **texts)
    parser.add_options(kind)
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

    Args:
        words: Of the command line.
        commands: What each is for, for the help.
        prog: Name of the program.
        description: For the help.
    """
    width = max(map(len, commands))
    listing = "commands:\n" + "\n".join(
        f"    {name:<{width}}  {text}" for name, text in commands.items()
    )
    parser = HelpfulParser(prog=prog, description=called(prog, description), epilog=listing)
    parser.add_argument("command", choices=list(commands), metavar="COMMAND", help="see below")
    first = words[0] if words else "--help"
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


class _KeepLines(argparse.RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Shows the description as it was written, and the help of `add_options`."""

    def _get_help_string(self, action: argparse.Action) -> str:
        whole = getattr(action, "whole_help", None)
        return super()._get_help_string(action) if whole is None else whole


class HelpfulParser(ArgumentParser):
    """A parser of configuration files and options that names the nearest valid key.

    Dashes and underscores in names of options are the same: `--out-dir` is `--out_dir`.
    """

    def __init__(self, **settings: Any) -> None:
        if find_spec("docstring_parser"):  # comes with jsonargparse[signatures]
            # The help shows the text below each field of a configuration class.
            set_parsing_settings(docstring_parse_attribute_docstrings=True)
        super().__init__(formatter_class=_KeepLines, allow_abbrev=False, **settings)

    def add_options(self, kind: type) -> None:
        """Add an option for each field of a dataclass, as `read_options` says."""
        hints, texts = get_type_hints(kind, include_extras=True), _texts_below_fields(kind)
        known = {field.name: field for field in fields(kind)}
        own_first = [
            name for base in kind.__mro__ for name in vars(base).get("__annotations__", ())
        ]
        for field in (known[name] for name in dict.fromkeys(own_first)):
            how = _argument(field, hints[field.name])
            flag = field.name if how.pop("positional") else f"--{field.name.replace('_', '-')}"
            action = self.add_argument(flag, **how)
            text = _with_default(texts.get(field.name, " "), how.get("default"))
            action.whole_help = text  # type: ignore[attr-defined]

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
        if "does not exist" in message:  # of a file: its path holds words like keys
            self.exit(2, f"{self.prog}: error: {message}\n")
        if message.startswith(_MISSING):
            names = message.removeprefix(_MISSING).split(", ")
            flags = [(name, f"--{_dashed(name)}") for name in names]
            known = self._option_string_actions
            message = _MISSING + ", ".join(f if f in known else name for name, f in flags)
        elif not message.startswith(_ADVICE_WOULD_MISLEAD):
            message += self._advice(message)
        self.exit(2, f"{self.prog}: error: {message}\nAll keys: {self.prog} --help\n")

    def _advice(self, message: str) -> str:
        known = sorted(_flat_keys(self.get_defaults(skip_validation=True)))
        for word in _unknown_keys(message):
            near = _nearest_key(word.replace("-", "_"), known)
            if word.replace("-", "_") not in known and near:
                near = (
                    _dashed(near) if f"--{_dashed(near)}" in self._option_string_actions else near
                )
                return f"\nDid you mean '{near}' for '{word}'?"
        return _keys_of_group(message, known)


def positive_whole(word: str | int) -> int:
    """A count."""
    if not str(word).isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no positive whole number")
    return int(word)


def one_of(names: Iterable[str]) -> Callable[[str], str]:
    """What lets only these words pass."""
    known = list(names)

    def checked(word: str) -> str:
        if word not in known:
            raise argparse.ArgumentTypeError(f"{word!r} is none of {', '.join(known)}")
        return word

    return checked


Count = Annotated[int, positive_whole, "N"]


def _argument(field: Field[Any], hint: Any) -> dict[str, Any]:
    """Arguments of `add_argument` for a field, and whether it is `positional`."""
    hint, extras = _unwrapped(hint)
    how: dict[str, Any] = {"positional": POSITIONAL in extras}
    if field.default_factory is not MISSING:
        how["default"] = field.default_factory()
    elif field.default is not MISSING:
        how["default"] = field.default
    if hint is bool:
        return how | {"action": "store_true"}
    if get_origin(hint) in (list, tuple):
        parts = get_args(hint)
        how["nargs"] = "+" if get_origin(hint) is list else len(parts)
        hint, inner = _unwrapped(parts[0])
        extras = (*inner, *extras)
    names = [extra for extra in extras if isinstance(extra, str)]
    if names:
        how["metavar"] = tuple(names) if isinstance(how.get("nargs"), int) else names[-1]
    if get_origin(hint) is Literal:
        return how | {"choices": get_args(hint), "type": _converter(str)}
    converters = [extra for extra in extras if callable(extra)]
    how["type"] = converters[0] if converters else _converter(hint)
    if not how["positional"] and "default" not in how:
        how["required"] = True
    return how


def _unwrapped(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without `| None` and `Annotated`, and what the latter holds."""
    extras: tuple[Any, ...] = ()
    if NoneType in get_args(hint):
        [hint] = [part for part in get_args(hint) if part is not NoneType]
    if get_origin(hint) is Annotated:
        hint, *found = get_args(hint)
        extras = tuple(found)
    return hint, extras


def _converter(kind: type) -> Callable[[Any], Any]:
    """A function, as jsonargparse would read a word for a type as YAML: `--text null`."""

    def convert(word: Any) -> Any:
        return None if word is None else kind(word)

    convert.__name__ = kind.__name__  # named in errors
    return convert


def _texts_below_fields(kind: type) -> dict[str, str]:
    """The string below each field of a dataclass and of those that it extends."""
    texts: dict[str, str] = {}
    for base in reversed([base for base in kind.__mro__ if is_dataclass(base)]):
        [definition] = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        for line, below in pairwise(getattr(definition, "body", ())):
            if isinstance(line, ast.AnnAssign) and isinstance(below, ast.Expr):
                texts[ast.unparse(line.target)] = inspect.cleandoc(ast.literal_eval(below.value))
    return texts


def _with_default(text: str, default: Any) -> str:
    """The help of an option, with its default in brackets if it has one."""
    if default is None or default is False or default == []:
        return text
    shown = " ".join(map(str, default)) if isinstance(default, list | tuple) else default
    return f"{text.removesuffix('.')} (default: {shown})"


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


def _keys_of_group(message: str, known: list[str]) -> str:
    """What the group takes, for a key of it that resembles none."""
    in_group = _IN_GROUP.search(message)
    if not in_group:
        return ""
    group = in_group[1]
    names = [key.removeprefix(f"{group}.") for key in known if key.startswith(f"{group}.")]
    return f"\n'{group}' takes: {', '.join(names)}"


def _flat_keys(defaults: Any, prefix: str = "") -> set[str]:
    keys = set()
    for name, value in vars(defaults).items() if isinstance(defaults, Namespace) else ():
        keys |= {f"{prefix}{name}"} | _flat_keys(value, f"{prefix}{name}.")
    return keys
