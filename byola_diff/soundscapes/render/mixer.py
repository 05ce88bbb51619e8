"""Our own mixer, and the choice between it and Scaper.

Its convention is that of Scaper 1.6.5, which it is checked against in the tests: an event is cut
from its source, brought to its loudness by one gain, faded at both ends if it is in the foreground,
and put in its place; the soundscape is the sum.
"""

import math
from collections.abc import Callable
from shutil import which
from typing import Literal

import numpy as np
from jaxtyping import Float

from byola_diff.audio.files import open_audio
from byola_diff.audio.resample import resample
from byola_diff.optional import require
from byola_diff.soundscapes.render.plan import (
    Event,
    Rendered,
    RenderError,
    Roots,
    Soundscape,
    checked,
)

MIXER_NAME = "byola_diff mixer 1"
"""Recorded beside what it has rendered; the number changes whenever a sample does."""

FLOOR_LUFS = -70.0

Renderer = Callable[[Soundscape, Roots], Rendered]

RendererName = Literal["auto", "scaper", "mixer"]

_LEAST_S = 0.5
_INSTALL = (
    "pip install 'byola-diff[generate]', pip install --no-deps scaper==1.6.5, "
    "and the program sox (Debian package `sox`)"
)


def open_renderer(name: RendererName) -> tuple[str, Renderer]:
    """Name with version, as recorded beside rendered audio, and a function that can be pickled.

    Args:
        name: "auto" is Scaper where it and the program sox are installed, else the mixer.

    Raises:
        ModuleNotFoundError: If Scaper is asked for and it or sox is not installed.
    """
    if name == "mixer":
        return MIXER_NAME, mix
    try:
        if which("sox") is None:
            raise ModuleNotFoundError("no program sox", name="the program sox")
        from byola_diff.soundscapes.render import scaper_renderer
    except ModuleNotFoundError as error:
        if name == "auto":
            return MIXER_NAME, mix
        reason = f"rendering by Scaper needs {error.name}: {_INSTALL}"
        raise ModuleNotFoundError(reason, name=error.name) from error
    return scaper_renderer.RENDERER_NAME, scaper_renderer.render


def mix(plan: Soundscape, roots: Roots) -> Rendered:
    """The soundscape of a plan, with the stems of its events.

    Raises:
        AudioFileError: If a source can't be read.
        RenderError: If a source is silent or ends before its event begins, or an event is shorter
            than its fades.
        ModuleNotFoundError: If pyloudnorm is not installed.
    """
    stems, gains_db = [], []
    for event in plan.events:
        sound = cut(plan, event, roots)
        level_db = plan.ref_db + (event.snr_db if event.role == "foreground" else 0.0)
        gain_db = level_db - integrated_lufs(sound, plan.sample_rate)
        stems.append(place(plan, event, 10 ** (gain_db / 20) * sound))
        gains_db.append(gain_db)
    return checked(plan, Rendered(np.sum(stems, axis=0), tuple(stems), tuple(gains_db)))


def cut(plan: Soundscape, event: Event, roots: Roots) -> Float[np.ndarray, " cut"]:
    """Sound of an event at the rate of the soundscape, in float64.

    Its ends are rounded down to whole samples of the source, as by Scaper. Errors: see `mix`.
    """
    first_s, length_s = event.source_time_s, plan.length_s(event)
    with open_audio(roots[event.role] / event.source) as reader:
        rate, n_source = reader.sample_rate, reader.n_samples
        start, stop = int(first_s * rate), int((first_s + length_s) * rate)
        if start >= n_source:
            raise RenderError(plan, f"ends before {first_s:g} s, where it is to begin", event)
        if stop == start:
            raise RenderError(plan, f"has no sample in {length_s:g} s at {rate} Hz", event)
        waveform = reader.read(start, stop - start)
    if event.role == "background":
        n_times = int(plan.duration_s // (n_source / rate) + 1)
        waveform = _repeated(waveform, n_times, start, stop)
    # Within full scale before and after, as the sox program does for Scaper.
    waveform = resample(np.clip(waveform, -1, 1), rate, plan.sample_rate)
    if not waveform.any():
        raise RenderError(plan, "silent where it is cut: no gain makes it audible", event)
    return np.clip(waveform.astype(np.float64), -1, 1)


def _repeated(
    waveform: Float[np.ndarray, " sample"], n_times: int, start: int, stop: int
) -> Float[np.ndarray, " repeated"]:
    """The background, again and again from `source_time_s` on, where its source is too short.

    A source that is no longer than the soundscape is repeated `n_times`, as by Scaper, and cut at
    `stop`. That may be more than the soundscape needs, and all of it counts for the loudness.
    """
    # Differs from Scaper where that leaves the background too short.
    repeats = max(n_times, math.ceil((stop - start) / len(waveform)))
    longest = stop if len(waveform) * n_times >= stop - start else stop - start
    return np.tile(waveform, repeats)[:longest]


def integrated_lufs(waveform: Float[np.ndarray, " sample"], sample_rate: int) -> float:
    """Integrated loudness after ITU-R BS.1770 in LUFS, at least -70, as Scaper 1.6.5 measures it.

    A sound shorter than half a second is repeated up to that length, as the gate needs 0.4 s.
    `ModuleNotFoundError` is raised where pyloudnorm is not installed.
    """
    waveform = waveform.astype(np.float64, copy=False)
    duration_s = len(waveform) / sample_rate
    if duration_s < _LEAST_S:
        waveform = np.tile(waveform, math.ceil(_LEAST_S / duration_s))
    meter = require("pyloudnorm", "generate", "loudness").Meter(sample_rate)
    return max(float(meter.integrated_loudness(waveform)), FLOOR_LUFS)


def place(
    plan: Soundscape, event: Event, sound: Float[np.ndarray, " cut"]
) -> Float[np.ndarray, " sample"]:
    """A sound where it belongs in a silent soundscape; in the foreground with its fades.

    Each fade is a quarter of a sine; `RenderError` is raised if the sound is shorter than one.
    """
    n_fade = int(plan.fade_s * plan.sample_rate) if event.role == "foreground" else 0
    if len(sound) < n_fade:
        length_s = len(sound) / plan.sample_rate
        raise RenderError(plan, f"{length_s:.3g} s long, less than a fade", event)
    sound = sound.copy()
    if n_fade:
        rise = np.sin(np.linspace(0, np.pi / 2, n_fade))
        sound[:n_fade] *= rise
        sound[-n_fade:] *= rise[::-1]
    stem = np.zeros(plan.n_samples)
    start = int(plan.sample_rate * event.event_time_s)
    kept = sound[: plan.n_samples - start]
    stem[start : start + len(kept)] = kept
    return stem
