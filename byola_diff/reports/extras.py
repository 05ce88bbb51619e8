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
from byola_diff.storage import BrokenFileError, check_seal, sealed_json
from byola_diff.tables.validation import fault


@dataclass(frozen=True)
class ReportExtra:
    """Something to look at or to listen to."""

    section: str
    """Heading in the report under which it is shown, with others of that section."""
    title: str
    parts: tuple[Annotated[Part, Field(discriminator="kind")], ...]
    format: Literal[1, 2] = field(default=2, kw_only=True)
    """Format 1 had no hash of the file."""


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
    write_text(path, sealed_json(_ADAPTER.dump_python(extra, mode="json", exclude_none=True), 1))
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
            content = path.read_bytes()
            extra = _ADAPTER.validate_json(content)
            check_seal(path, content, required=extra.format > 1)
            extras.append(extra)
        except BrokenFileError as error:
            problems.append(f"{path} left out: {error.reason}; run its evaluation again")
        except (OSError, ValueError) as error:
            problems.append(f"{path} left out: {fault(error)}")
    return extras, problems
