"""Scenes of tones by frequency modulation, to two of which the same tones are added.

They are of the kind of A-COAT, for whoever lacks it. An object is a tone that is struck again and
again: it has a timbre, a pitch, a rate and an amplitude, each one of a few by name. A scene is a
sum of objects. Differs from A-COAT in all sounds: they are not of a DX7, and what is published says
neither how its scenes are drawn nor how they are scaled.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32

from byola_diff.randomness import derive_seed

SAMPLE_RATE = 32_000
"""Hz, as of A-COAT-2k."""


class Timbre(NamedTuple):
    """Frequency modulation by one sine."""

    ratio: float
    """Ratio of the frequency of the modulator to that of the tone."""
    depth: float
    """Index of the modulation when the tone begins."""
    decay_s: float
    """In which tone and modulation fall to a share of 1 / e."""


TIMBRES: Mapping[str, Timbre] = {
    "bell": Timbre(1.41, 5.0, 0.40),
    "brass": Timbre(1.0, 4.0, 0.25),
    "clarinet": Timbre(2.0, 2.0, 0.30),
    "gong": Timbre(2.76, 7.0, 0.60),
    "organ": Timbre(3.0, 0.8, 0.80),
    "wood": Timbre(3.5, 3.0, 0.06),
}
PITCHES_HZ = {"low": 130.8, "middle": 261.6, "high": 523.3, "top": 1046.5}
RATES_HZ = {"slow": 1.0, "moderate": 2.0, "fast": 4.0}
AMPLITUDES = {"soft": 0.1, "medium": 0.2, "loud": 0.4}
_ATTACK_S = 0.005
_IN_SCENE, _IN_ADDED = (1, 3), (1, 2)
"""Objects in a scene, and in what is added: at least and at most."""


class ToneObject(NamedTuple):
    """A sound by the names of its four attributes."""

    timbre: str
    pitch: str
    rate: str
    amplitude: str


def drawn_objects(seed: int, number: int) -> tuple[list[ToneObject], ...]:
    """Objects of A, C and T, all different; `number` and the seed alone decide on them."""
    rng = np.random.default_rng(derive_seed(seed, "tone scenes", number))
    least, most = _IN_SCENE
    counts = rng.integers(least, most + 1, 2).tolist()
    counts.append(int(rng.integers(_IN_ADDED[0], _IN_ADDED[1] + 1)))
    attributes = [list(names) for names in (TIMBRES, PITCHES_HZ, RATES_HZ, AMPLITUDES)]
    n_objects = int(np.prod([len(names) for names in attributes]))
    places = np.unravel_index(
        rng.choice(n_objects, sum(counts), replace=False), [len(names) for names in attributes]
    )
    objects = [
        ToneObject(*(names[place] for names, place in zip(attributes, one, strict=True)))
        for one in zip(*places, strict=True)
    ]
    ends = np.cumsum(counts)
    return tuple(objects[end - count : end] for count, end in zip(counts, ends, strict=True))


def mixed(
    first: Sequence[ToneObject],
    second: Sequence[ToneObject],
    added: Sequence[ToneObject],
    duration_s: float,
) -> tuple[Float32[np.ndarray, " sample"], ...]:
    """Waveforms of A, A + T, C and C + T; scaled alike where one would leave [-1, 1]."""
    one, other, event = (
        np.sum([tone(each, duration_s) for each in objects], axis=0)
        for objects in (first, second, added)
    )
    sides = [one, one + event, other, other + event]
    gain = 1 / max(1.0, *(float(np.abs(side).max()) for side in sides))
    return tuple((gain * side).astype(np.float32) for side in sides)


def tone(one: ToneObject, duration_s: float) -> Float[np.ndarray, " sample"]:
    """An object from the start of the clip to its end, with a peak of its amplitude at most."""
    timbre, pitch_hz = TIMBRES[one.timbre], PITCHES_HZ[one.pitch]
    seconds = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    since = seconds % (1 / RATES_HZ[one.rate])  # since the latest stroke
    fall = np.exp(-since / timbre.decay_s)
    modulation = timbre.depth * fall * np.sin(2 * np.pi * timbre.ratio * pitch_hz * since)
    sound = np.sin(2 * np.pi * pitch_hz * since + modulation)
    return AMPLITUDES[one.amplitude] * np.minimum(since / _ATTACK_S, 1) * fall * sound
