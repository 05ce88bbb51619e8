"""Extras of a report: pictures, sounds and words that a run leaves for it, one JSON file each.

A file holds data only, pictures and sounds in base64: whoever wrote it, nothing in it becomes
markup or code. What can't be shown is reported, never fatal.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from byola_diff.atomic import write_text
from byola_diff.reports.report import Part
from byola_diff.scores.read import EXTRA_SUFFIX, json_files
from byola_diff.scores.write import file_name
from byola_diff.tables.validation import fault


@dataclass(frozen=True)
class ReportExtra:
    """Something to look at or to listen to."""

    section: str
    """Heading in the report under which it is shown, with others of that section."""
    title: str
    parts: tuple[Annotated[Part, Field(discriminator="kind")], ...]
    format: Literal[1] = field(default=1, kw_only=True)


_ADAPTER = TypeAdapter(ReportExtra)


def write_extra(folder: Path, name: str, extra: ReportExtra) -> Path:
    """Write FOLDER/NAME.exhibit.json, whole or not at all; an older one of that name is replaced.

    Raises:
        ValueError: If the name has no letter or digit.
    """
    clean = file_name(name)
    if not clean:
        raise ValueError(f"{name!r} is no name of a file: it needs a letter or a digit")
    path = folder / f"{clean}{EXTRA_SUFFIX}"
    write_text(path, _ADAPTER.dump_json(extra, indent=1, exclude_none=True).decode() + "\n")
    return path


def read_extras(paths: Path | Iterable[Path]) -> tuple[list[ReportExtra], list[str]]:
    """Extras of folders (searched through) and files, and why others can't be shown.

    Files of other names are passed over: folders of runs hold score records too.

    Raises:
        FileNotFoundError: If a path does not exist.
    """
    extras, problems = [], []
    for path in json_files(paths, extras=True):
        try:
            extras.append(_ADAPTER.validate_json(path.read_bytes()))
        except (OSError, ValueError) as error:
            problems.append(f"{path} left out: {fault(error)}")
    return extras, problems
