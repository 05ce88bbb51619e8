"""What is wrong with what people wrote, in words that say where in the file it is."""

from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

FIRST_ROW = 2
"""Rows are counted as in a spreadsheet, where the header is row 1."""

_MAX_LISTED = 20
_MAX_CHARACTERS = 80
_OWN_WORDS = ("missing", "extra_forbidden", "value_error", "assertion_error", "json_invalid")
"""Problems whose message says all, or whose value is the whole object around."""


def describe(error: ValidationError, path: Path | str, first_row: int = FIRST_ROW) -> str:
    """A line for each problem, as in "tasks.csv: row 3, column 'fold': must be a valid integer".

    Of a list of rows, the row and its column are named; of an object, the key, and the keys and
    items below it.

    Args:
        error: Of a pydantic model, or of an adapter of a list of them.
        path: The file.
        first_row: Number of the first row of a table.
    """
    return "\n".join(f"{path}: {line}" for line in _problems(error, first_row))


def fault(error: Exception) -> str:
    """The same in one line without the file; of another error than of a model, its message."""
    if isinstance(error, ValidationError):
        return "; ".join(_problems(error, FIRST_ROW))
    return f"{error}" or type(error).__name__


def reason(details: ErrorDetails) -> str:
    """What is wrong with one value, as in "must be a valid integer, not 'x'"."""
    if details["type"] == "missing":
        return "is missing"
    if details["type"] == "extra_forbidden":
        return "is unknown"
    words = details["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if details["type"] in _OWN_WORDS:
        return words
    # JSON and CSV have no tuples and dictionaries.
    words = words.replace("Input should", "must").replace("valid tuple", "list")
    words = words.replace("valid dictionary", "valid object").replace("valid list", "list")
    return f"{words}, not {repr(details['input'])[:_MAX_CHARACTERS]}"


def _problems(error: ValidationError, first_row: int) -> list[str]:
    details = error.errors(include_url=False)
    placed = [(_where(one["loc"], first_row), reason(one)) for one in details[:_MAX_LISTED]]
    more = [f"and {len(details) - _MAX_LISTED} more"] if len(details) > _MAX_LISTED else []
    return [": ".join(filter(None, words)) for words in placed] + more


def _where(location: tuple[int | str, ...], first_row: int) -> str:
    words = [repr(key) if isinstance(key, str) else f"item {key + 1}" for key in location]
    if location and isinstance(location[0], int):
        words[:2] = [
            f"row {location[0] + first_row}",
            *(f"column {key!r}" for key in location[1:2]),
        ]
    return ", ".join(words)
