"""The stretch of a source that an event is made of, before it gets its level and its place."""

import math
from pathlib import Path

import numpy as np
from jaxtyping import Float

from byola_diff.audio.files import open_audio
from byola_diff.audio.resample import resample
from byola_diff.soundscapes.render.plan import Event, Roots, Soundscape
from byola_diff.soundscapes.render.rendered import RenderError


def stretch_s(plan: Soundscape, event: Event) -> float:
    """How long an event lasts unless its source is shorter: no longer than the soundscape."""
    if event.role == "background":
        return plan.duration_s
    return min(event.duration_s, plan.duration_s - event.event_time_s)


def source_path(plan: Soundscape, event: Event, roots: Roots) -> Path:
    """Where the source of an event lies.

    Raises:
        RenderError: If there is no folder of sources for the role of the event.
    """
    if event.role not in roots:
        raise RenderError(plan, f"no folder of {event.role} sources is given", event)
    return roots[event.role] / event.source


def cut(plan: Soundscape, event: Event, roots: Roots) -> Float[np.ndarray, " cut"]:
    """Sound of an event at the rate of the soundscape, in float64.

    Its ends are rounded down to whole samples of the source, as by Scaper.

    Raises:
        AudioFileError: If the source can't be read.
        RenderError: If the source ends before the event begins, or is silent where it is cut.
    """
    first_s, length_s = event.source_time_s, stretch_s(plan, event)
    with open_audio(source_path(plan, event, roots)) as reader:
        rate, n_source = reader.sample_rate, reader.n_samples
        start, stop = int(first_s * rate), int((first_s + length_s) * rate)
        if start >= n_source:
            raise RenderError(plan, f"ends before {first_s:g} s, where it is to begin", event)
        if stop == start:
            raise RenderError(plan, f"has no sample in {length_s:g} s at {rate} Hz", event)
        waveform = reader.read(start, stop - start)
    if event.role == "background":
        waveform = _repeated(waveform, n_source / rate, plan.duration_s, start, stop)
    # Within full scale before and after, as the sox program does for Scaper.
    waveform = resample(np.clip(waveform, -1, 1), rate, plan.sample_rate)
    if not waveform.any():
        raise RenderError(plan, "silent where it is cut: no gain makes it audible", event)
    return np.clip(waveform.astype(np.float64), -1, 1)


def _repeated(
    waveform: Float[np.ndarray, " sample"],
    source_s: float,
    duration_s: float,
    start: int,
    stop: int,
) -> Float[np.ndarray, " repeated"]:
    """The background, again and again from `source_time_s` on, where its source is too short.

    A source that is no longer than the soundscape is repeated as often as Scaper does it and cut at
    `stop`. That may be more than the soundscape needs, and all of it counts for the loudness.
    """
    scaper_repeats = int(max(duration_s // source_s + 1, 1))
    # Differs from Scaper where that leaves the background too short.
    repeats = max(scaper_repeats, math.ceil((stop - start) / len(waveform)))
    longest = stop if len(waveform) * scaper_repeats >= stop - start else stop - start
    return np.tile(waveform, repeats)[:longest]
