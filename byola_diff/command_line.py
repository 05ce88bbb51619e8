"""Command lines whose errors say which key was meant."""

import difflib
import re
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, Namespace


class HelpfulParser(ArgumentParser):
    """A parser of configuration files and options that names the nearest valid key."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Exit with status 2, the message, and the key nearest to an unknown one."""
        known = sorted(_flat_keys(self.get_defaults(skip_validation=True)))
        for word in re.findall(r"[A-Za-z_][\w.]*", message):
            near = difflib.get_close_matches(word, known, n=1, cutoff=0.75)
            if word not in known and near and near[0] != word:
                message += f"\nDid you mean '{near[0]}' for '{word}'?"
                break
        super().error(message, ex)


def _flat_keys(defaults: Namespace | dict[str, Any], prefix: str = "") -> set[str]:
    keys = set()
    for name, value in vars(defaults).items() if isinstance(defaults, Namespace) else ():
        keys |= {f"{prefix}{name}"} | _flat_keys(value, f"{prefix}{name}.")
    return keys
