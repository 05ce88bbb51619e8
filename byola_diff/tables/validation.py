"""What is wrong with what people wrote, in words that say where in the file it is."""

from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_MAX_LISTED = 20
_MAX_CHARACTERS = 80
_OWN_WORDS = ("missing", "extra_forbidden", "value_error", "assertion_error", "json_invalid")
"""Problems whose message says all, or whose value is the whole object around."""


def describe(error: ValidationError, path: Path | str) -> str:
    """A line for each problem, as in "task.json: 'grid', 'lr', item 2: must be greater than 0"."""
    return "\n".join(f"{path}: {line}" for line in _problems(error))


def fault(error: Exception) -> str:
    """The same in one line without the file; of another error than of a model, its message."""
    if isinstance(error, ValidationError):
        return "; ".join(_problems(error))
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


def _problems(error: ValidationError) -> list[str]:
    lines = []
    details = error.errors(include_url=False)
    for one in details[:_MAX_LISTED]:
        keys = [repr(key) if isinstance(key, str) else f"item {key + 1}" for key in one["loc"]]
        lines.append(": ".join(filter(None, (", ".join(keys), reason(one)))))
    return lines + (
        [f"and {len(details) - _MAX_LISTED} more"] if len(details) > _MAX_LISTED else []
    )
