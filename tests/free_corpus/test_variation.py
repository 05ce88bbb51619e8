"""The measure of change, on noise that swells by known amounts."""

import numpy as np
import pytest

from byola_diff.free_corpus.build import LEAST_CHANGE_DB
from byola_diff.free_corpus.variation import nonstationary_db
from tests.free_corpus.debs import RATE, noise, street


def measured(waveform):
    return nonstationary_db(waveform.astype(np.float32), RATE)


def test_constant_noise_does_not_change():
    assert measured(noise(30)) < 0.4 < LEAST_CHANGE_DB


@pytest.mark.parametrize("seconds", [12, 30, 300])
def test_noise_that_swells_changes_by_the_deviation_of_its_level(seconds):
    # 20 dB from crest to trough: a cosine of 10 dB has a deviation of 7 dB, less within a second.
    assert measured(street(seconds)) == pytest.approx(6.6, abs=0.5)


def test_steps_of_level():
    loud = np.repeat([1.0, 0.1], 15 * RATE)  # half of the time 20 dB less: a deviation of 10 dB
    assert measured(noise(30) * loud) == pytest.approx(10, abs=0.1)
    assert measured(7 * noise(30) * loud) == pytest.approx(measured(noise(30) * loud), abs=1e-3)


def test_one_band_of_six_counts_a_sixth():
    time = np.arange(30 * RATE) / RATE
    tone = 30 * np.sin(2 * np.pi * 700 * time) * np.where(time < 15, 1, 0.1)
    assert measured(noise(30) + tone) == pytest.approx(10 / 5, abs=0.4)


def test_silence_and_what_is_too_short():
    assert measured(np.zeros(5 * RATE)) == 0
    with pytest.raises(ValueError, match="two whole seconds"):
        measured(noise(1.9))
