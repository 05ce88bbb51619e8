"""Single notes of the instruments of a sound font, on a fixed grid of pitch and velocity.

Recorded instruments with three things known of each note. Rendered by TinySoundFont, whose package
asks for a sound card that is not needed here: it is installed apart, as the error says.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float32

from byola_diff.free_corpus.containers import ContainerError
from byola_diff.optional import require

NOTE_RATE = 44_100
_PROGRAMS = range(128)
_NOTES = (40, 52, 64, 76)
"""Moved by a third of the program's number, within an octave: all pitches occur, not four."""
_VELOCITIES = (50, 85, 120)
_DRUMS, _DRUM_VELOCITIES = range(35, 82), (70, 115)
_HELD_S, _LENGTH_S, _REST_S = 2.0, 3.0, 0.2

_INSTALL = "pip install --no-deps tinysoundfont==0.3.7"


def notes(sound_font: bytes) -> Iterator[tuple[str, Float32[np.ndarray, " sample"]]]:
    """Name and mono waveform, at `NOTE_RATE`, of each note; General MIDI's, then percussion's.

    Raises:
        ContainerError: If it is no sound font, or damaged.
        ModuleNotFoundError: If TinySoundFont is not installed; says what to install.
    """
    try:
        tinysoundfont = require("tinysoundfont", "corpus")
    except ModuleNotFoundError as error:
        reason = f"notes of a sound font need tinysoundfont: {_INSTALL}"
        raise ModuleNotFoundError(reason, name=error.name) from error
    synth = tinysoundfont.Synth(samplerate=NOTE_RATE)
    try:
        font = synth.sfload(sound_font)
    except RuntimeError as error:
        raise ContainerError(f"damaged: {error}") from error
    for program in _PROGRAMS:
        if name := synth.sfpreset_name(font, 0, program):
            synth.program_change(0, program)
            for note in _NOTES:
                pitch = note + program // 3 % 12
                for velocity in _VELOCITIES:
                    title = (
                        f"program {program:03d} {name.strip()} pitch {pitch} velocity {velocity}"
                    )
                    yield title, _play(synth, pitch, velocity)
    synth.program_change(0, 0, is_drums=True)
    for drum in _DRUMS:
        for velocity in _DRUM_VELOCITIES:
            yield f"percussion {drum} velocity {velocity}", _play(synth, drum, velocity)


def _play(synth: Any, pitch: int, velocity: int) -> Float32[np.ndarray, " sample"]:
    """One note, held and then let go; what still sounds is over before the next."""
    synth.noteon(0, pitch, velocity)
    held = _samples(synth, _HELD_S)
    synth.noteoff(0, pitch)
    waveform = np.concatenate([held, _samples(synth, _LENGTH_S - _HELD_S)])
    synth.sounds_off()
    _samples(synth, _REST_S)
    return waveform


def _samples(synth: Any, duration_s: float) -> Float32[np.ndarray, " sample"]:
    stereo = np.frombuffer(synth.generate(round(duration_s * NOTE_RATE)), np.float32)
    return stereo.reshape(-1, 2).mean(axis=1)
