"""JSON files of results: found in folders, and in a few words what is wrong with one."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

EXTRA_SUFFIX = ".exhibit.json"
"""Ends the names of files for the report that lie beside score records."""


def json_files(paths: Path | Iterable[Path], *, extras: bool = False) -> list[Path]:
    """Files of score records, or extras, in folders (searched through) and of those given.

    Raises:
        FileNotFoundError: If a path does not exist.
    """
    found: dict[Path, None] = {}
    for path in [paths] if isinstance(paths, Path) else paths:
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist: give folders or files of records")
        for file in sorted(path.rglob("*.json")) if path.is_dir() else [path]:
            if file.is_file() and file.name.endswith(EXTRA_SUFFIX) == extras:
                found.setdefault(file.resolve())
    return list(found)


def fault(error: Exception) -> str:
    """What is wrong with a file, with the key of what a model did not accept."""
    if not isinstance(error, ValidationError):
        return f"{error}" or type(error).__name__
    first = error.errors(include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return f"it lacks {key!r}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{key!r}: {message}" if key else message
