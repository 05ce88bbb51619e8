"""Labelled sounds to make soundscapes of: ESC-50, FSD50K, any folder of audio, procedural sounds.

A library is a list of what is there, in the order of the files; nothing is decoded but the headers.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal
from unicodedata import normalize

import torch

from byola_diff.audio.files import AudioFileError, open_audio, write_wav
from byola_diff.corpora.layout import LayoutError, audio_below
from byola_diff.corpora.official_splits import esc50_clips, fsd50k_clips
from byola_diff.progress import progress
from byola_diff.randomness import derive_seed
from byola_diff.sounds import BACKGROUNDS, FOREGROUNDS, render
from byola_diff.storage import sha256
from byola_diff.tables.manifest import (
    Clip,
    ManifestError,
    check_one_label,
    check_whole,
    read_manifest,
)
from byola_diff.tables.rows import located
from byola_diff.threads import one_thread

PROCEDURAL = "procedural"
"""Given to commands instead of a folder of recordings."""

Kind = Literal["events", "backgrounds"]

_LENGTH_S = {"events": 5, "backgrounds": 12}
_N_FOLDS = 5
_WAV_HEADER_BYTES = 44


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


def read_esc50(root: Path) -> Library:
    """Clips of ESC-50 with their folds and the recordings they were cut from.

    The layout is the official one (meta/esc50.csv, audio/), or that of any folder with a
    manifest.csv that has the columns file, label and fold, and perhaps group: of whole files with
    one label each.

    Raises:
        LayoutError: If there is neither table, a cell is missing, or no file can be read.
        ManifestError: If the manifest is faulty or has others; the message names row and column.
    """
    if (root / "meta" / "esc50.csv").is_file():
        return _library(root, map(_source, esc50_clips(root)))
    if not (root / "manifest.csv").is_file():
        raise LayoutError(
            f"{root} has neither meta/esc50.csv, as in the official layout of ESC-50, "
            "nor manifest.csv with the columns file, label and fold"
        )
    clips = read_manifest(path := root / "manifest.csv").clips
    with located(f"{path}: ", ManifestError):
        check_one_label(clips, "a soundscape")
        check_whole(clips, "a soundscape")
    return _library(root, map(_source, clips))


def read_fsd50k(root: Path) -> dict[str, Library]:
    """Recordings of FSD50K by its parts "dev" and "eval", each under its first label.

    `LayoutError` is raised if a part of the official layout or a cell is missing, or no file of a
    part can be read.
    """
    for part in ("dev", "eval"):
        if not (folder := root / f"FSD50K.{part}_audio").is_dir():
            raise LayoutError(f"no such folder: {folder}")
    sources = [
        replace(_source(clip), split="eval" if clip.split == "test" else "dev")
        for clip in fsd50k_clips(root)
    ]
    return {
        part: _library(root, (source for source in sources if source.split == part))
        for part in ("dev", "eval")
    }


def read_folder(root: Path) -> Library:
    """All audio below a folder; the label is the first folder below it, "" for files beside them.

    `LayoutError` is raised if there is no such folder, or no audio in it that can be read.
    """
    listed = []
    for file in audio_below(root, "."):
        label, inside, _ = file.partition("/")
        listed.append(Source(file, normalize("NFC", label) if inside else "", 0.0))
    return _library(root, listed)


def _source(clip: Clip) -> Source:
    """A clip under its first label, which is the most specific one of FSD50K."""
    return Source(clip.file, clip.labels[0], 0.0, clip.fold, clip.split, clip.group)


def _library(root: Path, listed: Iterable[Source]) -> Library:
    """The listed files with the durations of their headers, but for those that can't be read."""
    sources: list[Source] = []
    unreadable: list[tuple[str, str]] = []
    in_order = sorted(listed, key=lambda source: source.file)
    for source in progress(in_order, title=root.name, unit="headers", leave=False):
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
        first = [f"; the first of {len(unreadable)}: {': '.join(one)}" for one in unreadable[:1]]
        raise LayoutError(f"no readable audio in {root}{''.join(first)}")
    return Library(root, tuple(sources), tuple(unreadable))


def source_sha256(path: Path) -> str:
    """SHA-256 of a recording, so that items made of another version are made again.

    A process reads it once, as long as its size and time of change stay the same.
    """
    about = path.stat()
    return _sha256(path, about.st_size, about.st_mtime_ns)


@cache
def _sha256(path: Path, size: int, changed_ns: int) -> str:
    del size, changed_ns  # they tell versions of a file apart
    return sha256(path)


@dataclass(frozen=True)
class ProceduralSounds:
    """Sounds LABEL/LABEL_000.wav and so on: what there will be, and how it is written.

    Events are in one library named "", in five folds by turns; each begins between a tenth and half
    of its file. Stationary backgrounds are in two libraries, "dev" and "eval", in folders of these
    names, and none is in both. Every file is rendered alone, so it depends on the seed, its label
    and its number, and on nothing that is rendered beside it.
    """

    folder: Path
    kind: Kind
    per_label: int
    """Files for each label, in each library."""
    seed: int
    sample_rate: int
    labels: Collection[str] | None = None
    """Some of those of the kind; all, if left out."""

    @property
    def n_samples(self) -> int:
        """Length of a file."""
        return _LENGTH_S[self.kind] * self.sample_rate

    @property
    def libraries(self) -> dict[str, Library]:
        """What is or will be written, without a look at the files."""
        if self.kind == "events":
            return {"": self._library(self.folder, None)}
        return {part: self._library(self.folder / part, part) for part in ("dev", "eval")}

    def write(self) -> None:
        """Render the files that are missing or incomplete."""
        for part, library in self.libraries.items():
            seed = derive_seed(self.seed, f"procedural {self.kind}", *([part] if part else []))
            for source in progress(library.sources, title=library.root.name, unit="sounds"):
                path = library.root / source.file
                if is_complete(path, self.n_samples):
                    continue
                index = torch.tensor([int(path.stem.rpartition("_")[2])])
                with one_thread():
                    sound = render([source.label], seed, index, self.n_samples, self.sample_rate)
                write_wav(path, sound[0].numpy(), self.sample_rate)

    def _library(self, root: Path, part: str | None) -> Library:
        known = FOREGROUNDS if self.kind == "events" else BACKGROUNDS
        sources = [
            Source(
                f"{label}/{label}_{number:03d}.wav",
                label,
                float(_LENGTH_S[self.kind]),
                fold=None if part else 1 + number % _N_FOLDS,
                split=part,
            )
            for label in (known if self.labels is None else self.labels)
            for number in range(self.per_label)
        ]
        return Library(root, tuple(sorted(sources, key=lambda source: source.file)))


def is_complete(path: Path, n_samples: int) -> bool:
    """Whether `write_wav` has written a file of so many samples."""
    return path.is_file() and path.stat().st_size == _WAV_HEADER_BYTES + 2 * n_samples
