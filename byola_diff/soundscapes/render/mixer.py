"""Our own mixer. Its convention is that of Scaper 1.6.5, which it is checked against in the tests.

An event is cut from its source, brought to its loudness by one gain, faded at both ends if it is in
the foreground, and put in its place; the soundscape is the sum.
"""

import numpy as np
from jaxtyping import Float

from byola_diff.soundscapes.render.cut import cut
from byola_diff.soundscapes.render.loudness import integrated_lufs
from byola_diff.soundscapes.render.plan import Event, Roots, Soundscape
from byola_diff.soundscapes.render.rendered import Rendered, RenderError, check_rendered

MIXER_NAME = "byola_diff mixer 1"
"""Recorded beside what it has rendered; the number changes whenever a sample does."""


def mix(plan: Soundscape, roots: Roots) -> Rendered:
    """The soundscape of a plan, with the stems of its events.

    Raises:
        AudioFileError: If a source can't be read.
        RenderError: If a source is silent or ends before its event begins, an event is shorter than
            its fades, or the mixture would clip.
        ModuleNotFoundError: If pyloudnorm is not installed.
    """
    stems, gains_db = [], []
    for event in plan.events:
        sound = cut(plan, event, roots)
        level_db = plan.ref_db + (event.snr_db if event.role == "foreground" else 0.0)
        gain_db = level_db - integrated_lufs(sound, plan.sample_rate)
        stems.append(place(plan, event, 10 ** (gain_db / 20) * sound))
        gains_db.append(gain_db)
    rendered = Rendered(np.sum(stems, axis=0), tuple(stems), tuple(gains_db))
    check_rendered(plan, rendered)
    return rendered


def place(
    plan: Soundscape, event: Event, sound: Float[np.ndarray, " cut"]
) -> Float[np.ndarray, " sample"]:
    """A sound, faded if it is in the foreground, where it belongs in a silent soundscape.

    Raises:
        RenderError: If it is shorter than one of its fades.
    """
    stem = np.zeros(plan.n_samples)
    start = int(plan.sample_rate * event.event_time_s)
    faded = _faded(plan, event, sound) if event.role == "foreground" else sound
    kept = faded[: plan.n_samples - start]
    stem[start : start + len(kept)] = kept
    return stem


def _faded(
    plan: Soundscape, event: Event, sound: Float[np.ndarray, " cut"]
) -> Float[np.ndarray, " cut"]:
    """Rise and fall over a quarter of a sine each."""
    n_fade = int(plan.fade_s * plan.sample_rate)
    if n_fade == 0:
        return sound
    if len(sound) < n_fade:
        length_s = len(sound) / plan.sample_rate
        raise RenderError(plan, f"{length_s:.3g} s long, less than a fade", event)
    rise = np.sin(np.linspace(0, np.pi / 2, n_fade))
    faded = sound.copy()
    faded[:n_fade] *= rise
    faded[-n_fade:] *= rise[::-1]
    return faded
