"""What is wrong with a file that people wrote, in words that say where in the file it is."""

from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

FIRST_ROW = 2
"""Rows are counted as in a spreadsheet, where the header is row 1."""

_MAX_LISTED = 20
_MAX_CHARACTERS = 80
_OWN_WORDS = ("missing", "extra_forbidden", "value_error", "assertion_error")
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
    details = error.errors(include_url=False)
    lines = [f"{path}: {_problem(one, first_row)}" for one in details[:_MAX_LISTED]]
    if len(details) > _MAX_LISTED:
        lines.append(f"{path}: and {len(details) - _MAX_LISTED} more")
    return "\n".join(lines)


def _problem(details: ErrorDetails, first_row: int) -> str:
    reason = details["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if details["type"] == "missing":
        reason = "is missing"
    elif details["type"] == "extra_forbidden":
        reason = "is unknown"
    else:
        # JSON and CSV have no tuples and dictionaries.
        reason = reason.replace("Input should", "must").replace("valid tuple", "list")
        reason = reason.replace("valid dictionary", "valid object").replace("valid list", "list")
    if details["type"] not in _OWN_WORDS:
        value = repr(details["input"])
        reason += f", not {value if len(value) <= _MAX_CHARACTERS else value[:_MAX_CHARACTERS]}"
    where = _where(details["loc"], first_row)
    return f"{where}: {reason}" if where else reason


def _where(location: tuple[int | str, ...], first_row: int) -> str:
    if location and isinstance(location[0], int):
        columns = ("column " + repr(each) for each in location[1:2])
        words = [f"row {location[0] + first_row}", *columns]
        rest = location[2:]
    else:
        words, rest = [], location
    return ", ".join([*words, *(_name(each) for each in rest)])


def _name(key: int | str) -> str:
    return repr(key) if isinstance(key, str) else f"item {key + 1}"
