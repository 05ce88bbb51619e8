"""The window of a background that an item and its references are cut from, all of it audible."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from byola_diff.audio.files import AudioFileError, open_audio
from byola_diff.corpora.layout import LayoutError
from byola_diff.randomness import derive_seed
from byola_diff.soundscapes.bgknown.plan import LATER, BgKnownSettings, ItemPlan
from byola_diff.soundscapes.render.mixer import integrated_lufs
from byola_diff.soundscapes.sources.library import Source

_QUIETEST_LUFS = -60.0
_MOST_WINDOWS = 10


@dataclass(frozen=True)
class Window:
    """Where in which recording the references of an item lie."""

    background: Source
    start_s: float
    n_rejected: int
    """Windows drawn before that were too quiet, or could not be read."""


def find_window(item: ItemPlan, root: Path, settings: BgKnownSettings) -> Window:
    """The first window drawn for the item in which each reference is audible.

    Raises:
        LayoutError: If there is none in any background of its plan.
    """
    n_rejected, reasons = 0, []
    for background in item.backgrounds:
        try:
            tried = set()
            for number in range(_MOST_WINDOWS):
                seed = derive_seed(settings.seed, "window", item.name, background.file, number)
                start_s, quietest = _draw_window(root / background.file, seed, settings)
                if start_s in tried:  # a recording of just the length has one window
                    continue
                tried.add(start_s)
                if quietest >= _QUIETEST_LUFS:
                    return Window(background, start_s, n_rejected)
                n_rejected += 1
            reasons.append(f"{background.file} is below {_QUIETEST_LUFS:g} LUFS")
        except AudioFileError as error:
            n_rejected += 1
            reasons.append(f"{background.file}: {error.reason}")
    raise LayoutError(
        f"{item.name}: none of {len(item.backgrounds)} backgrounds can be used; {reasons[0]}"
    )


def _draw_window(path: Path, seed: int, settings: BgKnownSettings) -> tuple[float, float]:
    """Start of a window in a recording, and the loudness of its quietest reference."""
    with open_audio(path) as reader:
        rate = reader.sample_rate
        n_window = math.ceil(settings.window_s * rate)
        if reader.n_samples < n_window:
            raise AudioFileError(path, f"shorter than {settings.window_s:g} s")
        start = int(np.random.default_rng(seed).integers(reader.n_samples - n_window + 1))
        waveform = reader.read(start, n_window)
    if len(waveform) < n_window:
        raise AudioFileError(path, f"shorter than {settings.window_s:g} s once decoded")
    length = int(settings.duration_s * rate)
    starts = [int(later * length) for later in LATER.values()]
    lufs = min(integrated_lufs(waveform[n : n + length], rate) for n in starts)
    # A quarter of a sample past its own, so that rounding down finds the sample again.
    return (start + 0.25) / rate, lufs
