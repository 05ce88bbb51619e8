"""Events and backgrounds for additivity from any two folders of recordings.

Which files, which stretches and where a short event lies in its clip depends on the seed and the
place of the quadruple alone. Files are taken in the order of their names before anything is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from byola_diff.audio.files import AudioFileError, open_audio, read_audio
from byola_diff.audio.find import find_audio
from byola_diff.audio.resample import resample
from byola_diff.randomness import derive_seed
from byola_diff.tables.manifest import ManifestError, check_one_label, read_manifest
from byola_diff.tables.reading import read_stretch
from byola_diff.tables.rows import located

SHORTEST_EVENT_S = 0.05
_SEARCH_STEP_S = 0.01
_MAX_TRIES = 10


@dataclass(frozen=True)
class SoundFile:
    """A file, or a part of it, with its label."""

    path: Path
    name: str
    """Below the folder, whatever lies above."""
    label: str
    start_s: float = 0.0
    duration_s: float | None = None
    group: str | None = None

    @property
    def recording(self) -> str:
        """What sounds of one recording have in common: their group, or the file, links followed."""
        return self.group or str(self.path.resolve())


def list_events(source: Path) -> list[SoundFile]:
    """Event files in the order of their names.

    They are those of a manifest of one label per clip, or of a folder that has a manifest.csv; or
    all in a folder, whose labels are the names of the folders below it.

    Raises:
        ValueError: If there is none, or the manifest can't be used.
        NotADirectoryError: If there is no such folder.
    """
    table = source / "manifest.csv" if source.is_dir() else source
    if table.is_file():
        manifest = read_manifest(table, with_splits=False)
        with located(f"{table}: ", ManifestError):
            check_one_label(manifest.clips, "an event")
        found = []
        for clip in manifest.clips:
            about = (clip.file, clip.labels[0], clip.start_s or 0.0, clip.duration_s, clip.group)
            found.append(SoundFile(manifest.path(clip), *about))
        return sorted(found, key=lambda file: (file.name, file.start_s))
    found = [_in_folder(path, source) for path in find_audio(source)]
    if not found:
        raise ValueError(f"{source}: no audio files in it or in the folders below")
    return found


def list_backgrounds(folder: Path, duration_s: float) -> list[SoundFile]:
    """Files of at least `duration_s`, in the order of their names; shorter ones are left out.

    Raises:
        ValueError: If fewer than two are long enough.
        AudioFileError: If one is unreadable.
        NotADirectoryError: If there is no such folder.
    """
    files = [_in_folder(path, folder) for path in find_audio(folder)]
    long = [file for file in files if _length_s(file.path) >= duration_s]
    if len(long) < 2:
        raise ValueError(
            f"{folder}: {len(long)} of {len(files)} files last {duration_s:g} s or more, and two "
            "backgrounds are the least: choose another folder or a shorter --duration-s"
        )
    return long


def choose_events(files: Sequence[SoundFile], n_events: int, seed: int) -> list[SoundFile]:
    """`n_events` different files in a random order; a ValueError if there are not as many."""
    if n_events > len(files):
        raise ValueError(
            f"{n_events} events asked for, but there are {len(files)} event files: "
            f"use --events {len(files)} or less"
        )
    rng = np.random.default_rng(derive_seed(seed, "additivity event files"))
    return [files[index] for index in rng.permutation(len(files))[:n_events]]


def read_events(
    files: Sequence[SoundFile], seed: int, sample_rate: int, n_samples: int
) -> Float[Tensor, "event sample"]:
    """Each event in a clip: the loudest stretch of a longer file; a shorter one at a random place.

    Raises:
        AudioFileError: If a file is unreadable, silent, shorter than 0.05 s, or ends too soon.
    """
    clips = torch.zeros(len(files), n_samples)
    for clip, file in zip(clips, files, strict=True):
        waveform, rate = read_stretch(file.path, file.start_s, file.duration_s)
        sound = resample(waveform, rate, sample_rate)
        if len(sound) < SHORTEST_EVENT_S * sample_rate:
            reason = f"{len(sound) / sample_rate:.3f} s is too short for an event"
            raise AudioFileError(file.path, reason)
        loudest = _loudest(sound, n_samples, max(1, round(_SEARCH_STEP_S * sample_rate)))
        if not loudest.any():
            raise AudioFileError(file.path, "silent: it can't serve as an event")
        draw = derive_seed(seed, "additivity onset", file.name, str(file.start_s))
        onset = int(np.random.default_rng(draw).random() * (n_samples - len(loudest) + 1))
        clip[onset : onset + len(loudest)] = torch.from_numpy(loudest)
    return clips


def read_backgrounds(
    files: Sequence[SoundFile], n_events: int, seed: int, sample_rate: int, n_samples: int
) -> tuple[Float[Tensor, "event sample"], Float[Tensor, "event sample"]]:
    """Two stretches per event, of two files.

    Raises:
        AudioFileError: If a file is unreadable, or silent wherever it was tried.
    """
    first, second = torch.zeros(2, n_events, n_samples)
    for event in range(n_events):
        rng = np.random.default_rng(derive_seed(seed, "additivity background files", event))
        chosen = rng.choice(len(files), 2, replace=False)
        for side, index in zip((first, second), chosen, strict=True):
            stretch = _stretch(files[index].path, rng, sample_rate, n_samples)
            side[event] = torch.from_numpy(stretch)
    return first, second


def _in_folder(path: Path, folder: Path) -> SoundFile:
    name = path.relative_to(folder)
    label = normalize("NFC", name.parts[0]) if len(name.parts) > 1 else ""
    return SoundFile(path, name.as_posix(), label)


def _length_s(path: Path) -> float:
    with open_audio(path) as reader:
        return reader.n_samples / reader.sample_rate


def _loudest(
    sound: Float32[np.ndarray, " sample"], n_samples: int, step: int
) -> Float32[np.ndarray, " cut"]:
    """The stretch of `n_samples` with the most energy, or the whole sound if that is shorter."""
    energy = np.concatenate([[0.0], np.cumsum(sound.astype(np.float64) ** 2)])
    starts = np.arange(0, max(len(sound) - n_samples, 0) + 1, step)
    ends = np.minimum(starts + n_samples, len(sound))
    start = starts[int(np.argmax(energy[ends] - energy[starts]))]
    return sound[start : start + n_samples]


def _stretch(
    path: Path, rng: np.random.Generator, sample_rate: int, n_samples: int
) -> Float32[np.ndarray, " sample"]:
    """A random stretch that is not silent."""
    duration_s, length_s = n_samples / sample_rate, _length_s(path)
    for _ in range(_MAX_TRIES):
        start_s = rng.random() * max(length_s - duration_s, 0.0)
        waveform, rate = read_audio(path, start_s, duration_s)
        stretch = resample(waveform, rate, sample_rate)[:n_samples]
        if stretch.any():
            # Rounding of the start and of the rate may leave a sample or two short.
            return np.pad(stretch, (0, n_samples - len(stretch)), mode="edge")
    raise AudioFileError(path, f"silent in {_MAX_TRIES} stretches of {duration_s:g} s")
