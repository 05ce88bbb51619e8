import sys

import numpy as np
import pytest

from byola_diff.soundscapes.render.loudness import FLOOR_LUFS, integrated_lufs


def sine(frequency, amplitude, duration_s, rate=48_000):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(int(duration_s * rate)) / rate)


def test_full_scale_sine_at_997_hz():
    """BS.1770: 0 dBFS at 997 Hz in one channel reads -3.01; pyloudnorm's filter is 0.04 off."""
    assert integrated_lufs(sine(997, 1.0, 3.0), 48_000) == pytest.approx(-3.01, abs=0.05)


def test_gain_moves_it_by_as_many_decibels():
    noise = np.random.default_rng(0).standard_normal(32_000)
    loud, quiet = (integrated_lufs(gain * noise, 16_000) for gain in (0.1, 0.01))
    assert loud - quiet == pytest.approx(20.0, abs=1e-6)


def test_short_sound_is_as_loud_as_its_repetition():
    short = sine(1000, 0.1, 0.1)
    assert integrated_lufs(short, 48_000) == integrated_lufs(np.tile(short, 5), 48_000)
    assert integrated_lufs(short, 48_000) == pytest.approx(-23.0, abs=0.2)


def test_silence_around_it_is_gated():
    sound = sine(1000, 0.1, 2.0)
    padded = np.concatenate([sound, np.zeros(3 * 48_000)])
    difference = integrated_lufs(sound, 48_000) - integrated_lufs(padded, 48_000)
    assert difference == pytest.approx(0.0, abs=0.5)


def test_silence_is_at_the_floor():
    assert integrated_lufs(np.zeros(16_000), 16_000) == FLOOR_LUFS
    assert integrated_lufs(np.full(3, 1e-9), 16_000) == FLOOR_LUFS


@pytest.mark.parametrize("waveform", [np.zeros(0), np.array([0.1, np.nan]), np.array([np.inf])])
def test_refuses_what_has_no_loudness(waveform):
    with pytest.raises(ValueError, match="needs samples, all of them finite"):
        integrated_lufs(waveform, 16_000)


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyloudnorm", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'byola-diff\[generate\]'"):
        integrated_lufs(np.ones(16_000), 16_000)


@pytest.mark.parametrize("duration_s", [0.01, 0.17, 0.4, 0.49, 0.5, 0.51, 3.0])
def test_is_that_of_scaper(duration_s):
    audio = pytest.importorskip("scaper.audio")
    noise = 0.1 * np.random.default_rng(1).standard_normal(int(duration_s * 44_100))
    expected = audio.get_integrated_lufs(noise[:, None], 44_100)
    assert integrated_lufs(noise, 44_100) == pytest.approx(expected, abs=1e-9)
