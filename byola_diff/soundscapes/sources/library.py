"""Labelled recordings to make soundscapes of: ESC-50, FSD50K, or any folder of audio.

A library is a list of what is there, in the order of the files; nothing is decoded but the headers.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path, PurePosixPath

from byola_diff.audio.files import AudioFileError, open_audio
from byola_diff.corpora.layout import LayoutError, audio_below
from byola_diff.corpora.official_splits import esc50_clips, fsd50k_clips
from byola_diff.storage import sha256
from byola_diff.tables.manifest import Clip, read_manifest


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


def read_esc50(folder: Path | str) -> Library:
    """Clips of ESC-50 with their folds and the recordings they were cut from.

    The layout is the official one (meta/esc50.csv, audio/), or that of any folder with a
    manifest.csv that has the columns file, label and fold, and perhaps group.

    Raises:
        LayoutError: If there is neither table, a cell is missing, or no file can be read.
        ManifestError: If the manifest is faulty; the message names row and column.
    """
    root = Path(folder)
    if (root / "meta" / "esc50.csv").is_file():
        return _library(root, map(_source, esc50_clips(root)))
    if not (root / "manifest.csv").is_file():
        raise LayoutError(
            f"{root} has neither meta/esc50.csv, as in the official layout of ESC-50, "
            "nor manifest.csv with the columns file, label and fold"
        )
    return _library(root, map(_source, read_manifest(root / "manifest.csv").clips))


def read_fsd50k(folder: Path | str) -> dict[str, Library]:
    """Recordings of FSD50K by its parts "dev" and "eval", each under its first label.

    The layout is the official one: FSD50K.dev_audio, FSD50K.eval_audio and FSD50K.ground_truth with
    dev.csv and eval.csv.

    Raises:
        LayoutError: If a part of the layout or a cell is missing, or no file can be read.
    """
    root = Path(folder)
    clips = fsd50k_clips(root)
    libraries = {}
    for part in ("dev", "eval"):
        audio = root / f"FSD50K.{part}_audio"
        if not audio.is_dir():
            raise LayoutError(f"no such folder: {audio}")
        own = [_source(clip) for clip in clips if (clip.split == "test") == (part == "eval")]
        libraries[part] = _library(root, (replace(source, split=part) for source in own))
    return libraries


def read_folder(folder: Path | str) -> Library:
    """All audio below a folder; the label is the first folder below it, "" for files beside them.

    Raises:
        LayoutError: If there is no such folder, or no audio in it that can be read.
    """
    root = Path(folder)
    files = [PurePosixPath(file) for file in audio_below(root, ".")]
    return _library(
        root, (Source(str(file), file.parts[0] if file.parts[1:] else "", 0.0) for file in files)
    )


def _source(clip: Clip) -> Source:
    """A clip under its first label, which is the most specific one of FSD50K."""
    return Source(clip.file, clip.labels[0], 0.0, clip.fold, clip.split, clip.group)


def _library(root: Path, listed: Iterable[Source]) -> Library:
    """The listed files with the durations of their headers, but for those that can't be read."""
    sources: list[Source] = []
    unreadable: list[tuple[str, str]] = []
    for source in sorted(listed, key=lambda source: source.file):
        if sources and sources[-1].file == source.file:
            raise LayoutError(f"{root}: {source.file} is listed twice")
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
        raise LayoutError(f"no readable audio in {root}{first}")
    return Library(root, tuple(sources), tuple(unreadable))


def source_sha256(path: Path) -> str:
    """SHA-256 of a recording, so that items made of another version are made again.

    A process reads it once, as long as its size and time of change stay the same. A file that is
    not there or can't be read raises AudioFileError.
    """
    try:
        about = path.stat()
        return _sha256(path, about.st_size, about.st_mtime_ns)
    except OSError as error:
        raise AudioFileError(path, error.strerror or type(error).__name__) from error


@cache
def _sha256(path: Path, size: int, changed_ns: int) -> str:
    del size, changed_ns  # they tell versions of a file apart
    return sha256(path)
