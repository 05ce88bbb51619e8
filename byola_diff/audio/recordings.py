"""Recordings as people have them, made what encoders take: mono, float32, at one sample rate.

A recording is a file, or samples in an array or tensor; several are a folder, a list of recordings,
or an array with a batch axis. Samples are floats in [-1, 1], or PCM of 8, 16 or 32 bits, which is
scaled to that; bytes without a sign have their zero at 128, as in wav files.
"""

import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Shaped
from torch import Tensor

from byola_diff.audio.files import SAMPLE_RATES, AudioFileError, open_audio
from byola_diff.audio.find import find_audio
from byola_diff.audio.other_decoder import OTHER_SUFFIXES
from byola_diff.audio.resample import resample, resampler_name
from byola_diff.audio.waveform import LOUDEST

Source = Path | Shaped[np.ndarray, "_ _"]
"""One recording, before it is read or changed: a file, or samples [channel, sample]."""

LAYOUTS = (
    *("channel sample", "sample channel", "batch sample"),
    *("batch channel sample", "batch sample channel"),
)
"""Axes of arrays that have more than one."""
_AXES = ("batch", "channel", "sample")
_MOST_CHANNELS = 8
_MOST_LISTED = 20
_ALONE = "the array"
"""What errors call an array that is in no list."""
_PCM = ("u1", "i1", "i2", "i4")


def separate(recordings: Any, layout: str | None = None) -> tuple[list[Source], bool]:
    """Recordings one by one, in their order; and whether it is one alone, not several or a list.

    The files of a folder, at any depth, are sorted by their path below it. An array of one axis is
    [sample]. Of more axes, `layout` says which they are, one of `LAYOUTS`; without it, only what
    can be read in one way is taken: [1, sample], and [batch, channel, sample] or [batch, sample,
    channel], where channels are on the axis of at most 8 if the other has more.

    Raises:
        TypeError: If something is no recording, or samples are of a type that has no scale.
        ValueError: If there are no recordings, or no samples; if axes can be read in several ways,
            or are not those of the layout.
        NotADirectoryError: If a folder is gone.
    """
    if layout is not None and layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(map(repr, LAYOUTS))}, not {layout!r}")
    if isinstance(recordings, str | os.PathLike):
        path = Path(recordings).expanduser()
        return (_files(path), False) if path.is_dir() else ([path], True)
    if not isinstance(recordings, list | tuple):
        return _clips(recordings, layout, _ALONE)
    if not recordings:
        raise ValueError("the list of recordings is empty")
    return [_one(each, layout, f"recordings[{n}]") for n, each in enumerate(recordings)], False


def check_files(files: Sequence[Path]) -> None:
    """Open all files, so that what is wrong with any is known at the start.

    But those whose formats are decoded as a whole when they are opened, such as .m4a.

    Raises:
        AudioFileError: Of the first that can't be opened; it lists the next 20, and counts others.
    """
    faults = []
    for path in files:
        if path.suffix.lower() in OTHER_SUFFIXES and path.is_file():
            continue
        try:
            with open_audio(path):
                pass
        except AudioFileError as error:
            faults.append(error)
    if faults:
        first, *others = faults
        more = "".join(f"\n{error}" for error in others[:_MOST_LISTED])
        if n_unlisted := len(others[_MOST_LISTED:]):
            more += f"\nand {n_unlisted} more files"
        raise AudioFileError(first.path, first.reason + more)


def read_mono(
    source: Source, array_rate: int, to_rate: int, name: str
) -> Float32[np.ndarray, " resampled"]:
    """Waveform of a recording at `to_rate`, the mean of its channels; a zero if it is too short.

    `array_rate` is the sample rate of arrays; a file has its own. Resampling, and mixing to mono,
    is said on the standard error, once for each rate. Errors about an array have its name.

    Raises:
        AudioFileError: If a file can't be read.
        ValueError: If a sample is NaN, infinite, or as far beyond full scale as files may not be.
    """
    if isinstance(source, Path):
        with open_audio(source) as reader:
            waveform, rate, n_channels = reader.read(), reader.sample_rate, reader.n_channels
    else:
        channels = _scaled(source)
        waveform = channels[0] if len(channels) == 1 else channels.mean(axis=0)
        rate, n_channels = array_rate, len(channels)
        if not np.isfinite(waveform).all():
            raise ValueError(f"{name} holds NaN or infinite samples")
        if (peak := np.abs(waveform).max()) > LOUDEST:
            raise ValueError(
                f"{name} reaches {peak:.5g}, far beyond full scale: were integers not scaled?"
            )
    if n_channels > 1:
        say_once("recordings of several channels are mixed to mono: the mean of the channels")
    if rate != to_rate:
        say_once(f"recordings at {rate} Hz are resampled to {to_rate} Hz by {resampler_name()}")
    resampled = resample(np.ascontiguousarray(waveform), rate, to_rate)
    return resampled if len(resampled) else np.zeros(1, np.float32)


def checked_rate(sample_rate: Any) -> int:
    """The sample rate in whole Hz; a ValueError if it is none that sound has."""
    if not isinstance(sample_rate, int | float | np.number) or sample_rate not in SAMPLE_RATES:
        raise ValueError(f"sample_rate must be whole Hz, 100 to a million, not {sample_rate!r}")
    return int(sample_rate)


@cache
def say_once(text: str) -> None:
    """Print a line on the standard error, the first time in this process that it is to be said."""
    print(text, file=sys.stderr)


def _files(folder: Path) -> list[Source]:
    files = find_audio(folder)
    if not files:
        raise ValueError(f"there are no audio files in {folder}")
    return list(files)


def _one(recording: Any, layout: str | None, name: str) -> Source:
    """An item of a list, which is one recording."""
    if isinstance(recording, str | os.PathLike):
        path = Path(recording).expanduser()
        if path.is_dir():
            raise ValueError(f"{name} is the folder {path}: pass a folder alone, not in a list")
        return path
    clips, _ = _clips(recording, layout, name)
    if len(clips) > 1:
        raise ValueError(f"{name} holds {len(clips)} clips, but an item of a list is one")
    return clips[0]


def _clips(samples: Any, layout: str | None, name: str) -> tuple[list[Source], bool]:
    """The clips of an array or tensor, and whether it has no batch axis."""
    array = _array(samples, name)
    axes = ["sample"] if array.ndim == 1 else (layout or _plain_layout(array, name)).split()
    if len(axes) != array.ndim:
        raise ValueError(f"{name} is {list(array.shape)}, which is not [{', '.join(axes)}]")
    array = array.transpose([axes.index(axis) for axis in _AXES if axis in axes])
    absent = tuple(place for place, axis in enumerate(_AXES) if axis not in axes)
    return list(np.expand_dims(array, absent)), "batch" not in axes


def _plain_layout(array: np.ndarray, name: str) -> str:
    """What the axes of an array are, if there is no doubt."""
    shape = array.shape
    if len(shape) == 2 and shape[0] == 1:
        return "batch sample"
    if len(shape) == 3 and (shape[1] <= _MOST_CHANNELS) != (shape[2] <= _MOST_CHANNELS):
        return "batch channel sample" if shape[1] <= _MOST_CHANNELS else "batch sample channel"
    fitting = [repr(layout) for layout in LAYOUTS if len(layout.split()) == len(shape)]
    raise ValueError(
        f"{name} is {list(shape)}, which can be read in several ways: say which axes these are by "
        f"layout={' or '.join(fitting)}"
    )


def _array(samples: Any, name: str) -> np.ndarray:
    """Samples as an array on the CPU, of a type that has a scale, with one to three axes."""
    if isinstance(samples, Tensor):
        samples = samples.detach().cpu()
        samples = (samples.float() if samples.is_floating_point() else samples).numpy()
    if not isinstance(samples, np.ndarray):
        raise TypeError(_no_recording(samples, name))
    kind = samples.dtype
    if kind.kind != "f" and kind.str[1:] not in _PCM:
        raise TypeError(
            f"the samples of {name} are {kind}, which has no scale: pass floats in [-1, 1], or "
            "PCM as uint8, int8, int16 or int32"
        )
    if not 1 <= samples.ndim <= len(_AXES):
        raise ValueError(f"{name} has {samples.ndim} axes, but samples have 1 to {len(_AXES)}")
    if samples.size == 0:
        raise ValueError(f"{name} is empty: {list(samples.shape)}")
    return samples


def _no_recording(given: Any, name: str) -> str:
    """What to pass in place of something else."""
    name = "recordings" if name == _ALONE else name
    kind = "None" if given is None else f"of type {type(given).__name__}"
    advice = (
        f"{name} is {kind}: pass a file, a folder, a NumPy array or a tensor of samples, or a list "
        "of files and arrays"
    )
    is_numbers = isinstance(given, list | tuple | int | float | np.number)
    return f"{advice}; samples go in an array: numpy.array([0.1, 0.2])" if is_numbers else advice


def _scaled(samples: Shaped[np.ndarray, "channel sample"]) -> Float32[np.ndarray, "channel sample"]:
    """Samples in [-1, 1], as soundfile scales PCM."""
    kind = samples.dtype
    values = samples.astype(np.float32)
    if kind.kind == "f":
        return values
    zero = 128 if kind.kind == "u" else 0
    return (values - np.float32(zero)) / np.float32(2 ** (8 * kind.itemsize - 1))
