"""The pieces of one package, written as audio, and the record of them.

The record appears last and marks the package as finished, so that a stopped run goes on with the
next one. What is in it follows from the package and from the recordings that earlier packages have.
"""

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from byola_diff.atomic import write_text
from byola_diff.audio.files import AudioFileError, to_pcm16
from byola_diff.audio.resample import resample
from byola_diff.free_corpus.deb import package_files, read_control
from byola_diff.free_corpus.licences import UNCLEAR, FilesParagraph, read_copyright
from byola_diff.free_corpus.ogg import write_ogg
from byola_diff.free_corpus.pieces import SHORTEST_S, Kind, Waveform, cut, trim
from byola_diff.free_corpus.plan import Package
from byola_diff.free_corpus.recordings import Recording, recordings
from byola_diff.free_corpus.variation import SHORTEST_S as SHORTEST_BACKGROUND_S
from byola_diff.free_corpus.variation import nonstationary_db
from byola_diff.storage import BrokenFileError, check_seal, sealed_json

FORMAT_VERSION = 1
"""Format of pieces: packages that were built in another one are built anew."""
LEAST_CHANGE_DB = 1.0
"""Least change of a background: steady rain and plane cabins have less, streets and birds more."""
_LONGEST_NAME = 80
_WRITTEN = ("audio", "backgrounds", "manifest.csv", "backgrounds.csv", "left_out.csv", "licences")


class Piece(TypedDict):
    """A file of the corpus."""

    file: str
    kind: str
    group: str
    """The recording it was cut from: equal for all pieces of one."""
    licence: str
    seconds: float
    source: str
    """Path of the recording in its package."""
    nonstationary_db: float | None
    """How much a background changes; None of other kinds."""


class PackageRecord(TypedDict):
    """What came of a package."""

    package: str
    version: str
    homepage: str
    settings: dict[str, Any]
    pieces: list[Piece]
    recordings: list[str]
    """Hashes of the recordings it has pieces of."""
    duplicates: list[str]
    """Hashes of those that an earlier package had."""
    left_out: list[tuple[str, str]]
    """(path, reason)"""


def finished_record(
    out: Path, package: Package, settings: dict[str, Any], seen: Set[str]
) -> PackageRecord | None:
    """The record of a package that was finished with these settings; None if there is none.

    Neither if a file is missing, or if the recordings of earlier packages are other ones now.
    """
    path = record_path(out, package.package)
    try:
        content = path.read_bytes()
        check_seal(path, content, required=True)
    except (FileNotFoundError, BrokenFileError):
        return None
    record: PackageRecord = json.loads(content)
    same_before = {*record["duplicates"]} <= seen and seen.isdisjoint(record["recordings"])
    whole = all((out / piece["file"]).is_file() for piece in record["pieces"])
    return record if same_before and whole and record["settings"] == settings else None


def build_package(
    out: Path, package: Package, deb: Path, settings: dict[str, Any], seen: Set[str]
) -> PackageRecord:
    """Write the pieces of a package, but of recordings that were seen, its copyright and record.

    Raises:
        DebError: If the package can't be read.
        ModuleNotFoundError: If what is needed for a recording of it is not installed.
    """
    record_path(out, package.package).unlink(missing_ok=True)
    remove_unfinished(out)
    control = read_control(deb)
    text = _copyright(deb, package.package)
    making = _Making(out, package, settings, seen, read_copyright(text))
    for recording in recordings(deb):
        making.add(recording)
    if text:
        write_text(out / "licences" / f"{package.package}.copyright", text)
    record = PackageRecord(
        package=package.package,
        version=control.get("Version", ""),
        homepage=control.get("Homepage", ""),
        settings=settings,
        pieces=making.pieces,
        recordings=sorted(making.recordings),
        duplicates=sorted(making.duplicates),
        left_out=making.left_out,
    )
    write_text(record_path(out, package.package), sealed_json(record, indent=1))
    return record


def claim_folder(out: Path) -> None:
    """Mark a folder as one of this corpus, in which pieces without a record are removed.

    Raises:
        ValueError: If it is not yet, and has what would be removed or written over.
    """
    records = record_path(out, "").parent
    if records.is_dir():
        return
    if others := [name for name in _WRITTEN if (out / name).exists()]:
        reason = f"has {', '.join(others)}, and is no corpus of this command: choose another folder"
        raise ValueError(f"{out} {reason}")
    records.mkdir(parents=True)


def remove_unfinished(out: Path) -> None:
    """Remove pieces of packages without a record: of a stopped run, or of a damaged package."""
    for folder in (*out.glob("audio/*/*"), *out.glob("backgrounds/*")):
        if folder.is_dir() and not record_path(out, folder.name).exists():
            shutil.rmtree(folder)


def record_path(out: Path, package: str) -> Path:
    """The record of a package."""
    return out / "parts" / f"{package}.json"


def _copyright(deb: Path, package: str) -> str:
    """Text of the copyright file; empty where another package has it."""
    wanted = f"usr/share/doc/{package}/copyright"
    for path, file in package_files(deb):
        if path == wanted:
            return file.read(4 << 20).decode(errors="replace")
    return ""


@dataclass
class _Making:
    """What has been made of a package so far."""

    out: Path
    package: Package
    settings: dict[str, Any]
    seen: Set[str]
    paragraphs: list[FilesParagraph]
    pieces: list[Piece] = field(default_factory=list)
    recordings: set[str] = field(default_factory=set)
    duplicates: set[str] = field(default_factory=set)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    names: Counter[str] = field(default_factory=Counter)

    def add(self, recording: Recording) -> None:
        """Write the pieces of a recording, or note why there are none."""
        rule = self.package.rule(recording.path)
        path = recording.path.encode(errors="replace").decode()
        licence = self.package.licence_of(path, self.paragraphs)
        if not rule.kind:
            self.left_out.append((path, rule.why))
        elif not rule.takes(path):
            pass  # as the table says: it is one of many of its sort
        elif licence == UNCLEAR and not self.settings["keep_unclear"]:
            self.left_out.append((path, "its licence is unclear"))
        else:
            try:
                waveform = self._heard(recording)
            except AudioFileError as error:
                self.left_out.append((path, error.reason))
                return
            self._write(waveform, rule.kind, path, licence)

    def _heard(self, recording: Recording) -> Waveform:
        """The recording at the rate of the corpus; `AudioFileError` if it is too short or known."""
        rate = self.settings["sample_rate"]
        waveform = trim(resample(*recording.decode(), rate), rate)
        if len(waveform) < SHORTEST_S * rate:
            raise AudioFileError(recording.path, "silent, or shorter than 0.3 s")
        digest = hashlib.sha256(to_pcm16(waveform).tobytes()).hexdigest()
        if digest in self.seen:
            self.duplicates.add(digest)
        if digest in self.seen or digest in self.recordings:
            raise AudioFileError(recording.path, "the same as an earlier one")
        self.recordings.add(digest)
        return waveform

    def _write(self, waveform: Waveform, listed: Kind, path: str, licence: str) -> None:
        rate = self.settings["sample_rate"]
        kind, change_db = _kind(waveform, listed, rate)
        name = _name(path)
        self.names[name] += 1
        name += f"-{self.names[name]}" if self.names[name] > 1 else ""
        folder = "backgrounds" if kind == "background" else f"audio/{kind}"
        for number, piece in enumerate(cut(waveform, rate, kind)):
            file = f"{folder}/{self.package.package}/{name}__{number}.ogg"
            write_ogg(self.out / file, piece, rate)
            about = Piece(
                file=file,
                kind=kind,
                group=f"{self.package.package}/{name}",
                licence=licence,
                seconds=round(len(piece) / rate, 3),
                source=path,
                nonstationary_db=change_db,
            )
            self.pieces.append(about)


def _kind(waveform: Waveform, listed: Kind, sample_rate: int) -> tuple[Kind, float | None]:
    """A background that is short or hardly changes is an effect; else with how much it changes."""
    if listed != "background":
        return listed, None
    if len(waveform) < SHORTEST_BACKGROUND_S * sample_rate:
        return "effects", None
    change_db = round(nonstationary_db(waveform, sample_rate), 2)
    return ("background", change_db) if change_db >= LEAST_CHANGE_DB else ("effects", None)


def _name(path: str) -> str:
    """A file name from the end of a path: letters, digits and `_` alone."""
    stem = re.sub(r"^usr/share/(games/)?|\.[A-Za-z0-9]{2,4}$", "", path)
    return re.sub(r"[^A-Za-z0-9]+", "_", stem).strip("_")[-_LONGEST_NAME:].lstrip("_") or "sound"
