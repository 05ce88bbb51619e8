"""Checked access to the fields of a JAMS file: every error names the file and the field.

JAMS files come from elsewhere: they are read as plain JSON of limited size, and nothing in them is
trusted.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

_MOST_BYTES = 1 << 22


class JamsError(ValueError):
    """A JAMS file that can't be used; names the file and the field."""


class Field:
    """One value of the file, and where it stands."""

    def __init__(self, file: Path, value: Any, name: str = "") -> None:
        self.file, self.value, self.name = file, value, name

    def fail(self, reason: str) -> NoReturn:
        """Raise `JamsError` about this field."""
        raise JamsError(f"{self.file}: {self.name or 'top level'}: {reason}")

    def __getitem__(self, key: str) -> "Field":
        """The value under `key` of an object."""
        if key not in self:
            Field(self.file, None, self._name_of(key)).fail("missing")
        return Field(self.file, self.value[key], self._name_of(key))

    def __contains__(self, key: str) -> bool:
        if not isinstance(self.value, dict):
            self.fail(f"not an object but {_shown(self.value)}")
        return key in self.value

    def __iter__(self) -> Iterator["Field"]:
        """The values of a list."""
        if not isinstance(self.value, list):
            self.fail(f"not a list but {_shown(self.value)}")
        for place, value in enumerate(self.value):
            yield Field(self.file, value, f"{self.name}[{place}]")

    def text(self) -> str:
        """The string."""
        if not isinstance(self.value, str):
            self.fail(f"not a text but {_shown(self.value)}")
        return self.value

    def number(self, least: float = -math.inf, most: float = math.inf) -> float:
        """The finite number between `least` and `most`."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail(f"not a number but {_shown(value)}")
        # Compared before it is converted: an integer may be too large for a float.
        if not (least <= value <= most and abs(value) < math.inf and abs(value) <= 1e300):
            self.fail(f"{_shown(value)} is not a number from {least:g} to {most:g}")
        return float(value)

    def unused(self, *allowed: Any) -> None:
        """Check that the value, if it is there, asks for nothing that is not supported."""
        if not any(self.value is one for one in (None, *allowed)):
            self.fail(f"{_shown(self.value)} is not supported")

    def _name_of(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key


def read_fields(path: Path) -> Field:
    """The top level of a JAMS file.

    Raises:
        JamsError: If the file can't be read, is larger than 4 MiB or is not a JSON object.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise JamsError(f"{path}: unreadable: {error.strerror}") from error
    top = Field(path, None)
    if len(content) > _MOST_BYTES:
        top.fail(f"larger than {_MOST_BYTES >> 20} MiB")
    try:
        top.value = json.loads(content.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        top.fail(f"not JSON: {error}")
    if not isinstance(top.value, dict):
        top.fail(f"not an object but {_shown(top.value)}")
    return top


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _shown(value: Any) -> str:
    """The value in few words."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and abs(value) > 1 << 64:
        return "a huge integer"
    return json.dumps(value)[:80]
