"""The folder of a generated data set: new, or continued with the same settings, never two in one.

The settings are written before anything is made. What marks a finished data set is removed then,
and written last.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from byola_diff.atomic import remove_left_over, write_text, writers

SETTINGS = "settings.json"


@dataclass(frozen=True)
class OutputFolder:
    """A folder that one data set is made in."""

    path: Path
    sources: str
    """Folder in it for procedural sounds, which are there before the data set is begun."""
    results: tuple[str, ...]
    """Files in it that mark a finished data set."""

    @property
    def procedural(self) -> Path:
        """Where procedural sounds are written."""
        return self.path / self.sources

    def check(self, settings: Mapping[str, Any]) -> None:
        """Check that a data set of these settings, or more, can be made or continued there.

        Raises:
            ValueError: If the folder holds a data set of other settings or other files, another run
                is beginning there, or nothing can be written there. Names the option --out.
        """
        record = self.path / SETTINGS
        there = next(path for path in (self.path, *self.path.parents) if os.path.lexists(path))
        if not there.is_dir():
            raise ValueError(f"--out {self.path}: {there} is no folder")
        if not os.access(there, os.W_OK | os.X_OK):
            raise ValueError(f"--out {self.path}: nothing can be written in {there}")
        if not record.is_file():
            self._check_free()
            return
        found, wanted = _read(record), _as_json(settings)
        if differing := [key for key in wanted if wanted[key] != found.get(key)]:
            raise ValueError(
                f"{self.path} holds a data set of other settings ({', '.join(differing)}; see "
                f"{record}): give another --out, or remove it"
            )

    def begin(self, settings: Mapping[str, Any]) -> None:
        """After `check`, write the settings of a new data set; remove what marks a finished one.

        Files that killed runs were writing are removed, too.
        """
        self.check(settings)
        remove_left_over(self.path)
        record = self.path / SETTINGS
        if not record.is_file():
            write_text(record, json.dumps(_as_json(settings), indent=2) + "\n")
        for name in self.results:
            (self.path / name).unlink(missing_ok=True)

    def _check_free(self) -> None:
        if not self.path.is_dir():
            return
        if busy := writers(self.path):
            raise ValueError(
                f"{self.path}: another run may be at work there, process {busy[0]}: wait for its "
                "end, or give another --out"
            )
        own = (self.sources, SETTINGS)  # another run may just have written its settings
        names = sorted(path.name for path in self.path.iterdir())
        if others := [name for name in names if name not in own and not name.startswith(".")]:
            raise ValueError(
                f"{self.path} holds other files, such as {others[0]}: give another --out"
            )


def listing(rows: Sequence[Any], what: str = "recordings") -> dict[str, Any]:
    """Number of rows under the name `what`, and a hash of them as JSON."""
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    return {what: len(rows), "listing_sha256": digest}


def _as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(dict(settings)))


def _read(record: Path) -> dict[str, Any]:
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{record} is no JSON: remove the folder, or mend it") from error
    return found if isinstance(found, dict) else {}
