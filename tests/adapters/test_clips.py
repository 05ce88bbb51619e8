import numpy as np
import pytest
import torch

from byola_diff.adapters.clips import encoder_waveform, frame_spacing_ms
from byola_diff.audio.resample import resample
from tests.helpers import uniform_noise


def test_channels_are_averaged():
    stereo = np.array([[0.2, -0.4, 1.0], [0.6, 0.0, 0.0]])
    torch.testing.assert_close(
        encoder_waveform(stereo, 8000, 8000), torch.tensor([0.4, -0.2, 0.5]), rtol=0, atol=1e-7
    )


def test_resampled_by_the_resampler_of_all_commands():
    clip = uniform_noise(2, 4410)
    found = encoder_waveform(clip, 44_100, 16_000)
    expected = resample(clip.mean(0).numpy(), 44_100, 16_000)
    assert found.shape == (1600,)
    assert np.array_equal(found.numpy(), expected)


@pytest.mark.parametrize(
    "samples",
    [
        np.array([0.5, -0.25], dtype=np.float64),
        np.array([16384, -8192], dtype=np.int16),
        torch.tensor([[0.5, -0.25]]),
        [0.5, -0.25],
    ],
)
def test_kinds_of_samples(samples):
    found = encoder_waveform(samples, 8000, 8000)
    assert found.dtype == torch.float32
    assert found.tolist() == [0.5, -0.25]


@pytest.mark.parametrize("samples", [[], np.zeros(0), np.zeros((2, 0)), torch.zeros(1, 0), [1.0]])
def test_what_has_no_sample_at_the_rate_of_the_encoder_is_one_zero(samples):
    assert encoder_waveform(samples, 48_000, 16_000).tolist() == [0.0]


def test_arrays_that_cannot_be_written_to():
    samples = np.full(3, 0.5, dtype=np.float32)
    samples.flags.writeable = False
    assert encoder_waveform(samples, 8000, 8000).tolist() == [0.5] * 3


@pytest.mark.parametrize(
    ("samples", "error", "match"),
    [
        (np.array([1, 2]), TypeError, "divide 16-bit samples"),
        (np.array([0.1, np.nan]), ValueError, "NaN"),
        (np.zeros((5000, 2)), ValueError, r"\[sample, channel\]"),
        (np.zeros((1, 2, 3)), ValueError, r"\[1, 2, 3\]"),
    ],
)
def test_what_is_no_clip(samples, error, match):
    with pytest.raises(error, match=match):
        encoder_waveform(samples, 8000, 8000)


def test_spacing_of_frames():
    assert frame_spacing_ms(torch.tensor([[15.0, 55.0, 95.0]])) == pytest.approx(40, abs=1e-9)
    with pytest.raises(ValueError, match="one frame"):
        frame_spacing_ms(torch.tensor([[15.0]]))
