"""Exhibits: pictures, sounds and words that a run leaves for the report, one JSON file each.

A file holds data only, pictures and sounds in base64: whoever wrote it, nothing in it becomes
markup or code. What can't be shown is told, never fatal.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from byola_diff.atomic import write_text
from byola_diff.reports.report import Audio, Heading, Part, Picture, Table, Text

SUFFIX = ".exhibit.json"
FORMAT = 1

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Exhibit:
    """Something to look at or to listen to."""

    section: str
    """Of the report."""
    title: str
    parts: tuple[Part, ...]


def write_exhibit(folder: Path, name: str, exhibit: Exhibit) -> Path:
    """Write FOLDER/NAME.exhibit.json, whole or not at all; an older one of that name is replaced.

    Raises:
        ValueError: If the name has no letter or digit.
    """
    clean = re.sub(r"[^A-Za-z0-9.]+", "_", name).strip("_.")
    if not clean:
        raise ValueError(f"{name!r} is no name for an exhibit: it needs a letter or a digit")
    raw = {
        "format": FORMAT,
        "section": exhibit.section,
        "title": exhibit.title,
        "parts": [_to_plain(part) for part in exhibit.parts],
    }
    path = folder / f"{clean}{SUFFIX}"
    write_text(path, json.dumps(raw, indent=1) + "\n")
    return path


def read_exhibits(paths: Path | Iterable[Path]) -> tuple[list[Exhibit], list[str]]:
    """Exhibits of folders (searched through) and files, and why others can't be shown.

    Files of other names are passed over: folders of runs hold score records too.

    Raises:
        FileNotFoundError: If a path does not exist.
    """
    exhibits, problems = [], []
    for path in _files([paths] if isinstance(paths, Path) else paths):
        try:
            exhibits.append(_parse(json.loads(path.read_bytes())))
        except RecursionError:
            problems.append(f"{path} left out: nested too deeply")
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            reason = f"it lacks {error.args[0]!r}" if isinstance(error, KeyError) else str(error)
            problems.append(f"{path} left out: {reason}")
    return exhibits, problems


def _files(paths: Iterable[Path]) -> list[Path]:
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist: give folders or files of runs")
        for file in sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path]:
            if file.is_file() and file.name.endswith(SUFFIX):
                found.setdefault(file.resolve())
    return list(found)


def _to_plain(part: Part) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"kind": "text", "text": part.text}
    if isinstance(part, Heading):
        return {"kind": "heading", "text": part.text}
    if isinstance(part, Picture):
        return {"kind": "picture", "caption": part.caption, "png": _encoded(part.png)}
    if isinstance(part, Audio):
        picture = {"spectrogram": _encoded(part.spectrogram)} if part.spectrogram else {}
        return {"kind": "audio", "caption": part.caption, "wav": _encoded(part.wav), **picture}
    return {
        "kind": "table",
        "title": part.title,
        "header": list(part.header),
        "rows": [list(row) for row in part.rows],
        "bold": sorted(list(cell) for cell in part.bold),
        "marked": sorted(part.marked),
        "text_columns": sorted(part.text_columns),
        "note": part.note,
    }


def _parse(raw: Any) -> Exhibit:
    if not isinstance(raw, dict) or not isinstance(raw["parts"], list):
        raise TypeError("it is not an exhibit")
    if raw["format"] != FORMAT:
        raise ValueError(f"format {raw['format']!r} is not {FORMAT}, which this program reads")
    parts = tuple(_part(part) for part in raw["parts"])
    return Exhibit(_text(raw, "section"), _text(raw, "title"), parts)


def _part(raw: Mapping[str, Any]) -> Part:
    kind = raw["kind"]
    if kind == "text":
        return Text(_text(raw, "text"))
    if kind == "heading":
        return Heading(_text(raw, "text"))
    if kind == "picture":
        return Picture(_png(raw, "png"), _text(raw, "caption"))
    if kind == "audio":
        wav = _decoded(raw, "wav")
        if wav[:4] != b"RIFF" or wav[8:12] != b"WAVE":
            raise ValueError("a sound is no wav file")
        spectrogram = _png(raw, "spectrogram") if "spectrogram" in raw else None
        return Audio(wav, _text(raw, "caption"), spectrogram)
    if kind == "table":
        return _table(raw)
    raise ValueError(f"unknown kind of part {kind!r}")


def _table(raw: Mapping[str, Any]) -> Table:
    header = _texts(raw["header"])
    rows = [_texts(row) for row in raw["rows"]]
    if any(len(row) != len(header) for row in rows):
        raise ValueError(f"a row of a table has not {len(header)} cells")
    return Table(
        header,
        rows,
        frozenset((int(row), int(column)) for row, column in raw["bold"]),
        _text(raw, "note"),
        _text(raw, "title"),
        frozenset(int(row) for row in raw["marked"]),
        frozenset(int(column) for column in raw["text_columns"]),
    )


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(raw: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(_text(raw, name), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{name!r} is not base64: {error}") from error


def _png(raw: Mapping[str, Any], name: str) -> bytes:
    png = _decoded(raw, name)
    if not png.startswith(_PNG):
        raise ValueError(f"{name!r} is no PNG")
    return png


def _text(raw: Mapping[str, Any], name: str) -> str:
    if not isinstance(raw[name], str):
        raise TypeError(f"{name!r} is {type(raw[name]).__name__}, not text")
    return raw[name]


def _texts(cells: Any) -> list[str]:
    if not isinstance(cells, list) or not all(isinstance(cell, str) for cell in cells):
        raise TypeError("cells of a table are not texts")
    return cells
