"""The front end against librosa and nnAudio, and against values worked out by hand."""

import math
import sys

import librosa
import numpy as np
import pytest
import torch

from byola_diff.audio.log_mel import LOG_FLOOR, LogMel, log_mix, mel_filter_bank
from tests.helpers import normal_noise, uniform_noise

PRESETS = {
    "byola_v1": {"window_samples": 1024, "n_fft": 1024, "f_min_hz": 60.0, "f_max_hz": 7800.0},
    "byola_v2": {"window_samples": 1024, "n_fft": 1024, "f_min_hz": 60.0, "f_max_hz": 7800.0},
    "diff2024": {"window_samples": 400, "n_fft": 400, "f_min_hz": 50.0, "f_max_hz": 8000.0},
    "short window": {"window_samples": 400, "n_fft": 1024, "f_min_hz": 50.0, "f_max_hz": 8000.0},
}
SECOND = torch.arange(16_000) / 16_000


def sounds():
    noise = uniform_noise(16_000)
    tones = sum(torch.sin(2 * math.pi * hz * SECOND) for hz in (110, 997, 5000)) / 3
    click = torch.zeros(16_000)
    click[8000] = 1.0
    return torch.stack([noise, 1e-3 * noise, tones, click, torch.zeros(16_000)])


def assert_agrees(log_mel, expected):
    noise, quiet_noise, tones, click, silence = range(5)
    for sound in (noise, quiet_noise, click, silence):
        torch.testing.assert_close(log_mel[sound], expected[sound], rtol=0, atol=1e-5)
    # Beside a pure tone lies nothing but float32 rounding, 1e-7 of the tone: only there is the
    # agreement worse.
    is_tone = expected[tones] > -10
    difference = (log_mel[tones] - expected[tones]).abs()
    assert difference[is_tone].max() < 2e-4
    assert difference.max() < 2e-3


@pytest.fixture(params=list(PRESETS))
def preset(request):
    return PRESETS[request.param]


def test_mel_bank_is_that_of_librosa(preset):
    n_fft, f_min, f_max = preset["n_fft"], preset["f_min_hz"], preset["f_max_hz"]
    expected = librosa.filters.mel(sr=16_000, n_fft=n_fft, n_mels=64, fmin=f_min, fmax=f_max)
    bank = mel_filter_bank(16_000, n_fft, 64, f_min, f_max)
    assert bank.shape == (64, n_fft // 2 + 1)
    torch.testing.assert_close(bank, torch.from_numpy(expected), rtol=0, atol=1e-8)


@pytest.mark.parametrize(("sample_rate", "n_fft", "n_mels"), [(44_100, 2048, 128), (8000, 512, 20)])
def test_mel_bank_at_other_rates(sample_rate, n_fft, n_mels):
    f_max = sample_rate / 2
    expected = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels, fmin=0, fmax=f_max)
    bank = mel_filter_bank(sample_rate, n_fft, n_mels, 0.0, f_max)
    torch.testing.assert_close(bank, torch.from_numpy(expected), rtol=0, atol=1e-8)


def test_no_band_of_the_presets_is_empty(preset):
    assert LogMel(**preset).mel_bank.sum(1).min() > 0


def test_log_mel_is_that_of_librosa(preset):
    waveform = sounds()
    power = librosa.feature.melspectrogram(
        y=waveform.numpy().astype(np.float64),
        sr=16_000,
        n_fft=preset["n_fft"],
        win_length=preset["window_samples"],
        hop_length=160,
        n_mels=64,
        fmin=preset["f_min_hz"],
        fmax=preset["f_max_hz"],
        pad_mode="reflect",
    )
    expected = torch.from_numpy(np.log(power + LOG_FLOOR)).float()[:, None]
    assert_agrees(LogMel(**preset)(waveform), expected)


def test_nnaudio_backend_agrees(preset):
    pytest.importorskip("nnAudio")
    waveform = sounds()
    reference = LogMel(**preset, backend="nnaudio")
    assert_agrees(LogMel(**preset)(waveform), reference(waveform))
    assert reference.state_dict() == {}


@pytest.mark.parametrize(
    ("n_samples", "expected"),
    [(15_200, 96), (16_000, 101), (40_000, 251), (64_000, 401), (80_000, 501), (480_000, 3001)],
)
def test_frame_counts(n_samples, expected):
    assert LogMel()(torch.zeros(1, n_samples)).shape == (1, 1, 64, expected)


def test_silence_is_the_logarithm_of_the_floor(preset):
    log_mel = LogMel(**preset)(torch.zeros(2, 16_000))
    assert math.log(1.1920929e-07) == pytest.approx(-15.942, abs=1e-3)
    torch.testing.assert_close(
        log_mel, torch.full_like(log_mel, math.log(1.1920929e-07)), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("hz", [250.0, 1000.0, 4000.0])
def test_a_tone_lands_in_its_band(preset, hz):
    log_mel = LogMel(**preset)(torch.sin(2 * math.pi * hz * SECOND)[None])[0, 0, :, 50]
    # Band k of 64 peaks at the (k + 1)-th of 65 equal steps on the mel scale.
    low, high = librosa.hz_to_mel(preset["f_min_hz"]), librosa.hz_to_mel(preset["f_max_hz"])
    expected = (librosa.hz_to_mel(hz) - low) / (high - low) * 65 - 1
    assert abs(log_mel.argmax().item() - expected) <= 1


def test_a_click_lands_in_its_frame():
    waveform = torch.zeros(1, 16_000)
    waveform[0, 8000] = 1.0
    log_mel = LogMel()(waveform)[0, 0]
    assert log_mel.mean(0).argmax() == 50  # frame f is centred on sample 160 f


def test_twice_the_amplitude_adds_log_four(preset):
    front_end = LogMel(**preset)
    waveform = sounds()[:1]
    expected = front_end(waveform) + math.log(4)
    torch.testing.assert_close(front_end(2 * waveform), expected, rtol=0, atol=1e-4)


def test_nothing_enters_the_state_dict():
    front_end = LogMel()
    assert front_end.state_dict() == {}
    assert list(front_end.parameters()) == []


def test_stays_in_float32_under_autocast():
    waveform = sounds()
    with torch.autocast("cpu", torch.bfloat16):
        log_mel = LogMel()(waveform)
    assert log_mel.dtype == torch.float32
    torch.testing.assert_close(log_mel, LogMel()(waveform), rtol=0, atol=0)


def test_neighbours_do_not_matter():
    waveform = sounds()
    torch.testing.assert_close(LogMel()(waveform)[1:2], LogMel()(waveform[1:2]), rtol=0, atol=1e-5)


def test_settings_make_the_same_front_end_again(preset):
    front_end = LogMel(**preset)
    assert LogMel(**front_end.settings()).settings() == front_end.settings()
    assert front_end.settings()["f_min_hz"] == preset["f_min_hz"]


def test_shortest_input():
    assert LogMel().min_samples == 513
    assert LogMel()(torch.zeros(1, 513)).shape[-1] == 4
    with pytest.raises(ValueError, match="512 samples are too few for n_fft 1024"):
        LogMel()(torch.zeros(1, 512))


def test_refuses_a_window_longer_than_the_fft():
    with pytest.raises(ValueError, match="window of 1024 samples is longer than n_fft 512"):
        LogMel(n_fft=512)


@pytest.mark.parametrize(("f_min", "f_max"), [(-1.0, 8000.0), (9e3, 8e3), (50.0, 8001.0)])
def test_refuses_band_edges_out_of_order(f_min, f_max):
    with pytest.raises(ValueError, match="need 0 <="):
        LogMel(f_min_hz=f_min, f_max_hz=f_max)


def test_refuses_bands_without_a_bin():
    with pytest.raises(ValueError, match=r"mel bands \[.*\] hold no FFT bin"):
        LogMel(window_samples=256, n_fft=256, n_mels=128)


def test_missing_nnaudio_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "nnAudio.features", None)
    with pytest.raises(ModuleNotFoundError, match=r"byola-diff\[nnaudio\]"):
        LogMel(backend="nnaudio")


LOG_2, LOG_3 = math.log(2), math.log(3)


@pytest.mark.parametrize(
    ("first", "second", "share", "expected"),
    [
        (0.0, LOG_3, 0.5, LOG_2),  # (1 + 3) / 2
        (0.0, LOG_3, 0.25, math.log(1.5)),  # 3/4 * 1 + 1/4 * 3: the share is that of the second
        (LOG_3, 0.0, 0.25, math.log(2.5)),
        (LOG_2, LOG_2, 0.3, LOG_2),
        (LOG_2, LOG_3, 0.0, LOG_2),
        (LOG_2, LOG_3, 1.0, LOG_3),
    ],
)
def test_by_hand(first, second, share, expected):
    out = log_mix(torch.tensor([first]), torch.tensor([second]), torch.tensor([share]))
    assert out.item() == pytest.approx(expected, abs=1e-6)


def test_each_example_has_its_share():
    first, second = torch.zeros(3, 1, 2, 2), torch.full((3, 1, 2, 2), LOG_3)
    out = log_mix(first, second, torch.tensor([0.0, 0.5, 1.0]))
    for example, power in enumerate([1.0, 2.0, 3.0]):
        expected = torch.full((1, 2, 2), math.log(power))
        torch.testing.assert_close(out[example], expected, rtol=0, atol=1e-6)


def test_equals_the_logarithm_of_the_mixed_powers():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 5, 1, 8, 6, generator=generator, dtype=torch.float64) * 3
    share = torch.rand(5, generator=generator, dtype=torch.float64)
    column = share[:, None, None, None]
    expected = ((1 - column) * first.exp() + column * second.exp()).log()
    torch.testing.assert_close(log_mix(first, second, share), expected, rtol=0, atol=1e-12)


def test_does_not_overflow_where_exp_would():
    high, low = torch.tensor([1000.0, -1000.0]), torch.tensor([-1000.0, 1000.0])
    out = log_mix(high, low, torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(out, torch.full((2,), 1000 - LOG_2), rtol=0, atol=1e-4)
    assert log_mix(-high.abs(), -low.abs(), torch.full((2,), 0.4)).tolist() == [-1000, -1000]


def test_share_0_and_1_give_back_the_bits():
    first, second = normal_noise(2, 64, 7)
    assert torch.equal(log_mix(first, second, torch.zeros(64)), first)
    assert torch.equal(log_mix(first, second, torch.ones(64)), second)


def test_a_constant_added_to_both_is_added_to_the_mixture():
    first, second = normal_noise(2, 4, 9, seed=1)
    share = torch.tensor([0.1, 0.4, 0.6, 0.9])
    shifted = log_mix(first + 5, second + 5, share)
    torch.testing.assert_close(shifted, log_mix(first, second, share) + 5, rtol=0, atol=2e-6)


def test_gradient_is_each_sounds_part_of_the_power():
    first = torch.tensor([0.0], requires_grad=True)
    second = torch.tensor([LOG_3], requires_grad=True)
    log_mix(first, second, torch.tensor([0.25])).sum().backward()
    # Of 0.75 * 1 + 0.25 * 3 = 1.5, both give a half.
    assert first.grad.item() == pytest.approx(0.5, abs=1e-6)
    assert second.grad.item() == pytest.approx(0.5, abs=1e-6)


def test_gradient_is_finite_at_share_0():
    first, second = torch.zeros(2, 3, requires_grad=True), torch.ones(2, 3, requires_grad=True)
    log_mix(first, second, torch.zeros(2)).sum().backward()
    assert torch.equal(first.grad, torch.ones(2, 3))
    assert torch.equal(second.grad, torch.zeros(2, 3))


def test_empty_batch():
    assert log_mix(torch.zeros(0, 1, 4, 5), torch.zeros(0, 1, 4, 5), torch.zeros(0)).shape[0] == 0


def test_absurd_sizes_are_refused_before_memory_is_taken():
    with pytest.raises(ValueError, match="n_fft is 1000000000, at most 131072"):
        LogMel(n_fft=10**9)
