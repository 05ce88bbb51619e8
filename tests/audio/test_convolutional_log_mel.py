"""The front end by convolution against that by FFT, and a tone by hand."""

import math

import pytest
import torch

from byola_diff.audio.convolutional_log_mel import ConvolutionalLogMel
from byola_diff.audio.log_mel import LogMel
from tests.audio.test_log_mel import PRESETS, SECOND, assert_agrees, sounds

OTHER = {
    "44.1 kHz": {"sample_rate": 44_100, "n_fft": 2048, "f_max_hz": 16_000.0, "hop_samples": 441},
    "odd sizes": {"window_samples": 401, "n_fft": 601, "hop_samples": 147, "n_mels": 40},
    "odd margin": {"window_samples": 399, "n_fft": 600, "n_mels": 40},
}


@pytest.fixture(params=[*PRESETS, *OTHER])
def front_end(request):
    return LogMel(**(PRESETS | OTHER)[request.param])


def test_equals_the_front_end_by_fft(front_end):
    assert_agrees(ConvolutionalLogMel(front_end)(sounds()), front_end(sounds()))


@pytest.mark.parametrize("more", [0, 1, 159, 160, 161, 1000])
def test_same_frames_and_edges_for_any_length(front_end, more):
    # Loud edges: where frames begin, and how they are reflected, would show.
    waveform = torch.linspace(1, -1, front_end.min_samples + more)[None].exp() / 3
    expected = front_end(waveform)
    log_mel = ConvolutionalLogMel(front_end)(waveform)
    assert log_mel.shape == expected.shape
    torch.testing.assert_close(log_mel, expected, rtol=0, atol=1e-3)


def test_power_of_a_full_scale_tone_by_hand():
    # 1 kHz is bin 25 of 400 at 16 kHz. A Hann window gives it half of its amplitude times half the
    # samples: 100, and half of that in each neighbour.
    front_end = LogMel(window_samples=400, n_fft=400)
    power = torch.zeros(201)
    power[24:27] = torch.tensor([2500.0, 10_000.0, 2500.0])
    expected = torch.log(front_end.mel_bank @ power + torch.finfo().eps)
    tone = torch.sin(2 * math.pi * 1000 * SECOND)[None]
    log_mel = ConvolutionalLogMel(front_end)(tone)[0, 0, :, 50]
    heard = expected > -10
    assert heard.sum() >= 2
    torch.testing.assert_close(log_mel[heard], expected[heard], rtol=0, atol=1e-3)


def test_keeps_no_kernel_of_a_bin_that_no_band_has():
    # 60 to 7800 Hz of 1024 points at 16 kHz: bins 4 to 499.
    assert ConvolutionalLogMel(LogMel()).kernels.shape == (2 * 496, 1, 1024)
