"""Trimming and cutting, on tones of known length."""

import numpy as np
import pytest

from byola_diff.free_corpus.pieces import cut, is_heard, trim

RATE = 1000


def tone(seconds, level=0.1):
    return np.full(round(seconds * RATE), level, np.float32)


def test_silence_at_the_ends_is_cut_but_for_50_ms():
    waveform = np.concatenate([tone(2, 0), tone(1), tone(0.5, 0), tone(1), tone(3, 0)])
    assert len(trim(waveform, RATE)) == 2600
    assert len(trim(tone(1), RATE)) == 1000
    assert len(trim(tone(1, 10 ** (-66 / 20)), RATE)) == 0
    assert len(trim(tone(0), RATE)) == 0


@pytest.mark.parametrize(
    ("kind", "seconds", "lengths"),
    [
        ("effects", 15, [15]),
        ("effects", 16, [10]),
        ("effects", 47, [10] * 4),
        ("effects", 900, [10] * 18),
        ("music", 900, [10] * 8),
        ("speech", 900, [10] * 6),
        ("instrument", 9, [4]),
        ("background", 90, [60]),
        ("background", 20, [20]),
    ],
)
def test_pieces_of_a_recording(kind, seconds, lengths):
    assert [len(piece) / RATE for piece in cut(tone(seconds), RATE, kind)] == lengths


def test_pieces_are_spread_from_first_to_last_sample():
    waveform = np.linspace(0.1, 0.9, 45 * RATE, dtype=np.float32)
    pieces = cut(waveform, RATE, "effects")
    assert pieces[0][0] == waveform[0]
    assert pieces[-1][-1] == waveform[-1]


def test_silent_pieces_are_left_out():
    waveform = np.concatenate([tone(10), tone(25, 0), tone(10)])
    assert len(cut(waveform, RATE, "effects")) == 2
    assert not is_heard(tone(1, 10 ** (-61 / 20)), RATE)
    assert is_heard(tone(1, 10 ** (-59 / 20)), RATE)
    assert not is_heard(tone(0.01), RATE)
