"""Command lines whose errors say which key was meant."""

import argparse
import difflib
import re
from importlib.util import find_spec
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace, set_parsing_settings

_IN_GROUP = re.compile(r"Group '([\w.]+)' does not accept option '([\w.]+)'")


class _KeepLines(argparse.RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Shows the description as it was written."""


class HelpfulParser(ArgumentParser):
    """A parser of configuration files and options that names the nearest valid key."""

    def __init__(self, **settings: Any) -> None:
        if find_spec("docstring_parser"):  # comes with jsonargparse[signatures]
            # The help shows the text below each field of a configuration class.
            set_parsing_settings(docstring_parse_attribute_docstrings=True)
        super().__init__(formatter_class=_KeepLines, allow_abbrev=False, **settings)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Exit with status 2, the message, and the key nearest to an unknown one."""
        if "does not exist" in message:  # of a file: its path holds words like keys
            self.exit(2, f"{self.prog}: error: {message}\n")
        known = sorted(_flat_keys(self.get_defaults(skip_validation=True)))
        for word in _unknown_keys(message):
            near = _nearest_key(word, known)
            if word not in known and near:
                message += f"\nDid you mean '{near}' for '{word}'?"
                break
        else:
            message += _keys_of_group(message, known)
        self.exit(2, f"{self.prog}: error: {message}\nAll keys: {self.prog} --help\n")


def _unknown_keys(message: str) -> list[str]:
    """What may be a key in an error message of jsonargparse, with the group it was given in."""
    in_group = _IN_GROUP.search(message)
    if in_group:
        return [".".join(in_group.groups())]
    return re.findall(r"[A-Za-z_][\w.]*", message)


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
