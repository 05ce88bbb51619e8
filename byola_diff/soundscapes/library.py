"""Labelled recordings to make soundscapes of: ESC-50, FSD50K, or any folder of audio.

A library is a list of what is there, in the order of the files; nothing is decoded but the headers.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from byola_diff.audio.files import AudioFileError, find_audio, open_audio
from byola_diff.tables.manifest import read_manifest


@dataclass(frozen=True)
class Source:
    """A recording."""

    file: str
    """Relative to the root of its library, with `/` between the parts."""
    label: str
    duration_s: float
    """As the header says."""
    fold: int | None = None
    split: str | None = None
    group: str | None = None
    """What this clip was cut from, where that is known."""


@dataclass(frozen=True)
class Library:
    """Recordings below a folder, sorted by file."""

    root: Path
    sources: tuple[Source, ...]
    unreadable_files: tuple[tuple[str, str], ...] = ()
    """Files that were left out, each with the reason."""

    @property
    def unreadable(self) -> int:
        """Number of files that were left out."""
        return len(self.unreadable_files)

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, sorted."""
        return tuple(sorted({source.label for source in self.sources}))


class LibraryError(ValueError):
    """A folder that is not laid out as expected, or without a readable recording."""


def read_esc50(folder: Path | str) -> Library:
    """Clips of ESC-50 with their folds and the recordings they were cut from.

    Args:
        folder: The official layout (meta/esc50.csv, audio/), or any folder with a manifest.csv that
            has the columns file, label and fold, and perhaps group.

    Raises:
        LibraryError: If there is neither table, a cell is missing, or no file can be read.
        ManifestError: If the manifest is faulty; the message names row and column.
    """
    root = Path(folder)
    if (root / "meta" / "esc50.csv").is_file():
        return _library(root, _official_esc50(root / "meta" / "esc50.csv"))
    if not (root / "manifest.csv").is_file():
        raise LibraryError(
            f"{root} has neither meta/esc50.csv, as in the official layout of ESC-50, "
            "nor manifest.csv with the columns file, label and fold"
        )
    manifest = read_manifest(root / "manifest.csv")
    return _library(
        root,
        (
            Source(clip.file, clip.labels[0], 0.0, clip.fold, clip.split, clip.group)
            for clip in manifest.clips
        ),
    )


def read_fsd50k(folder: Path | str) -> dict[str, Library]:
    """Recordings of FSD50K by its parts "dev" and "eval", each under its first label.

    Args:
        folder: The official layout: FSD50K.dev_audio, FSD50K.eval_audio and FSD50K.ground_truth
            with dev.csv and eval.csv.

    Raises:
        LibraryError: If a part of the layout or a cell is missing, or no file can be read.
    """
    root = Path(folder)
    libraries = {}
    for part in ("dev", "eval"):
        table = root / "FSD50K.ground_truth" / f"{part}.csv"
        rows = _rows(table, ("fname", "labels"))
        audio = f"FSD50K.{part}_audio"
        if not (root / audio).is_dir():
            raise LibraryError(f"no such folder: {root / audio}")
        libraries[part] = _library(
            root,
            [
                # The first label is the most specific one.
                Source(f"{audio}/{r['fname']}.wav", r["labels"].split(",")[0], 0.0, split=part)
                for r in rows
            ],
        )
    return libraries


def read_folder(folder: Path | str) -> Library:
    """All audio below a folder; the label is the first folder below it, "" for files beside them.

    Raises:
        LibraryError: If there is no such folder, or no audio in it that can be read.
    """
    root = Path(folder)
    try:
        files = [path.relative_to(root) for path in find_audio(root)]
    except NotADirectoryError as error:
        raise LibraryError(str(error)) from error
    return _library(
        root,
        (Source(file.as_posix(), file.parts[0] if file.parts[1:] else "", 0.0) for file in files),
    )


def _library(root: Path, listed: Iterable[Source]) -> Library:
    """The listed files with the durations of their headers, but for those that can't be read."""
    sources: list[Source] = []
    unreadable: list[tuple[str, str]] = []
    for source in sorted(listed, key=lambda source: source.file):
        if sources and sources[-1].file == source.file:
            raise LibraryError(f"{root}: {source.file} is listed twice")
        try:
            with open_audio(root / source.file) as reader:
                duration_s = reader.n_samples / reader.sample_rate
        except AudioFileError as error:
            unreadable.append((source.file, error.reason))
        else:
            sources.append(replace(source, duration_s=duration_s))
    if not sources:
        first = (
            f"; the first of {len(unreadable)}: {': '.join(unreadable[0])}" if unreadable else ""
        )
        raise LibraryError(f"no readable audio in {root}{first}")
    return Library(root, tuple(sources), tuple(unreadable))


def _official_esc50(table: Path) -> Iterator[Source]:
    for row in _rows(table, ("filename", "fold", "category")):
        if not row["fold"].isdecimal():
            raise LibraryError(f"{table}: fold {row['fold']!r} of {row['filename']} is no number")
        # As in 1-100032-A-0.wav: fold, Freesound recording, take, class.
        name = row["filename"].split("-")
        group = row.get("src_file") or (name[1] if len(name) > 1 else None)
        file = f"audio/{row['filename']}"
        yield Source(file, row["category"], 0.0, fold=int(row["fold"]), group=group)


def _rows(table: Path, names: tuple[str, ...]) -> list[dict[str, str]]:
    """Rows of a CSV file in which all `names` are filled."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else "can't be read"
        raise LibraryError(f"{table}: {reason}") from error
    for number, row in enumerate(rows, start=2):
        if empty := [name for name in names if not row.get(name)]:
            raise LibraryError(f"{table}: row {number}: nothing in column {', '.join(empty)}")
    if not rows:
        raise LibraryError(f"{table}: has no rows below the header")
    return rows
