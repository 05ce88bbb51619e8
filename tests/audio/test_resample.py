import numpy as np
import pytest
import scipy.signal

from byola_diff.audio.resample import (
    resample,
    resample_blocks,
    resampled_length,
    resampler_name,
)


def tone(frequency_hz, rate, n_samples):
    time_s = np.arange(n_samples) / rate
    return (0.5 * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


@pytest.mark.parametrize(("from_rate", "to_rate"), [(44_100, 16_000), (8_000, 16_000)])
def test_tone_keeps_frequency_amplitude_and_phase(from_rate, to_rate):
    resampled = resample(tone(1000, from_rate, from_rate), from_rate, to_rate)
    expected = tone(1000, to_rate, to_rate)
    inner = slice(500, -500)  # the tone is switched on and off at the ends
    np.testing.assert_allclose(resampled[inner], expected[inner], atol=1e-4)


def test_like_scipy_on_band_limited_noise():
    noise = np.random.default_rng(0).standard_normal(48_000)
    low = scipy.signal.sosfiltfilt(scipy.signal.butter(8, 4000, fs=48_000, output="sos"), noise)
    waveform = (0.1 * low).astype(np.float32)
    oracle = scipy.signal.resample_poly(waveform, 1, 3, window=("kaiser", 12.0))
    resampled = resample(waveform, 48_000, 16_000)
    np.testing.assert_allclose(resampled[500:-500], oracle[500:-500], atol=2e-4)


def test_tone_above_half_the_new_rate_vanishes():
    resampled = resample(tone(10_000, 44_100, 44_100), 44_100, 16_000)
    assert np.abs(resampled[500:-500]).max() < 1e-4


@pytest.mark.parametrize("from_rate", [44_100, 48_000, 22_050, 8_000, 44_099, 16_000])
def test_length(from_rate):
    for n_samples in (1, 2, 3, 7, 101, 997, 4410):
        waveform = np.zeros(n_samples, np.float32)
        resampled = resample(waveform, from_rate, 16_000)
        assert len(resampled) == resampled_length(n_samples, from_rate, 16_000)


def test_length_by_hand():
    assert resampled_length(44_100, 44_100, 16_000) == 16_000
    assert resampled_length(1, 48_000, 16_000) == 0
    assert resampled_length(3, 32_000, 16_000) == 2  # 1.5


def test_same_rate_changes_nothing():
    waveform = tone(440, 16_000, 100)
    assert resample(waveform, 16_000, 16_000) is waveform


@pytest.mark.parametrize("from_rate", [44_100, 48_000, 8_000, 44_099, 16_000])
@pytest.mark.parametrize("sizes", [[1], [2, 1, 7], [10_000, 1, 33_333], [300_000]])
def test_blocks_are_resampled_as_one(from_rate, sizes):
    noise = np.random.default_rng(0).standard_normal(sum(sizes)).astype(np.float32)
    blocks = np.split(noise, np.cumsum(sizes)[:-1])
    found = np.concatenate(list(resample_blocks(blocks, from_rate, 16_000)))
    np.testing.assert_array_equal(found, resample(noise, from_rate, 16_000))


def test_name_has_version_and_quality():
    name, version, quality = resampler_name().split()
    assert (name, quality) == ("soxr", "HQ")
    assert version[0].isdigit()
