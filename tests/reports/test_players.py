import io

import numpy as np
import pytest
import soundfile

from byola_diff.reports.players import player


def heard(audio):
    return soundfile.read(io.BytesIO(audio.wav), dtype="int16")


def test_samples_are_those_of_the_waveform():
    waveform = np.array([0.0, 0.5, -0.25, -0.999], np.float32)
    audio = player(waveform, 16_000, "a dog")
    samples, rate = heard(audio)
    assert samples.tolist() == [0, 16384, -8192, -32735]
    assert rate == 16_000
    assert audio.caption == "a dog"


def test_a_loud_waveform_is_turned_down_not_clipped():
    audio = player(np.array([2.0, -1.0, 0.5]), 8000, "loud")
    samples, _ = heard(audio)
    assert samples.tolist() == [32767, -16384, 8192]
    assert audio.caption == "loud (turned down by 6.0 dB to fit)"


def test_a_spectrogram_comes_with_the_sound():
    assert player(np.array([0.5]), 8000, "", b"png").spectrogram == b"png"
    assert player(np.array([0.5]), 8000, "").spectrogram is None


def test_full_scale_does_not_wrap():
    audio = player(np.array([1.0, -1.0]), 8000, "loud")
    samples, _ = heard(audio)
    assert samples.tolist() == [32767, -32767]
    assert audio.caption == "loud"


@pytest.mark.parametrize(
    ("waveform", "message"),
    [(np.zeros(0), "no samples to play: x"), (np.array([0.0, np.nan]), "NaN or infinite")],
)
def test_what_can_not_be_played_is_refused(waveform, message):
    with pytest.raises(ValueError, match=message):
        player(waveform, 8000, "x")


def test_infinity_is_refused():
    with pytest.raises(ValueError, match="NaN or infinite"):
        player(np.array([np.inf, 0.0]), 8000, "x")
