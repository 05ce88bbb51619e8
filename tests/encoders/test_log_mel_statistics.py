import pytest
import torch

from byola_diff.audio.log_mel import LogMel
from byola_diff.encoders.log_mel_statistics import load_log_mel_statistics


@pytest.fixture(scope="module")
def encoder():
    return load_log_mel_statistics()


def noise(batch, n_samples):
    return torch.rand(batch, n_samples, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_hear_contract(encoder, check_hear_contract):
    check_hear_contract(encoder)


def test_scene_is_mean_and_deviation_of_each_band(encoder):
    waveform = noise(2, 16_000)
    log_mel = LogMel()(waveform)[:, 0].double()  # [batch, mel, frame]
    mean = log_mel.mean(-1)
    std = ((log_mel - mean[..., None]) ** 2).mean(-1).sqrt()
    expected = torch.cat([mean, std], dim=1).float()
    assert encoder.scene_embedding_size == 128
    torch.testing.assert_close(encoder.scene(waveform), expected, atol=1e-4, rtol=0)


def test_timestamps_are_log_mel_frames_every_10_ms(encoder):
    waveform = noise(1, 1600)
    frames, centers_ms = encoder.timestamps(waveform)
    assert centers_ms.tolist() == [[10.0 * frame for frame in range(11)]]
    torch.testing.assert_close(frames[0], LogMel()(waveform)[0, 0].T)


def test_its_one_layer_is_the_log_mel(encoder):
    waveform = noise(2, 4000)
    assert encoder.layer_strides == {"log_mel": 1}
    torch.testing.assert_close(encoder.layers(waveform)["log_mel"], LogMel()(waveform))


def test_silence_has_no_deviation(encoder):
    scene = encoder.scene(torch.zeros(1, 8000))
    torch.testing.assert_close(scene[0, 64:], torch.zeros(64))
    torch.testing.assert_close(scene[0, :64], torch.full((64,), -15.942385))


def test_gain_moves_means_alone(encoder):
    waveform = noise(1, 16_000) / 2
    faint, loud = encoder.scene(waveform), encoder.scene(2 * waveform)
    moved = torch.full((64,), 2 * torch.tensor(2.0).log().item())
    torch.testing.assert_close((loud - faint)[0, :64], moved, atol=1e-3, rtol=0)
    torch.testing.assert_close((loud - faint)[0, 64:], torch.zeros(64), atol=1e-3, rtol=0)


def test_parts_of_long_clips_differ_from_one_pass_at_the_seams_alone():
    waveform = noise(1, 40_000)
    whole = load_log_mel_statistics().layers(waveform)["log_mel"]
    parts = load_log_mel_statistics(window_s=1.0).layers(waveform)["log_mel"]
    assert parts.shape == whole.shape
    differ = (parts - whole).abs().amax(dim=(0, 1, 2)).gt(1e-4).nonzero().flatten().tolist()
    # A window of 1024 samples reaches 3.2 frames beyond its centre; frame 100 starts anew.
    assert set(differ) <= set(range(96, 104)) | set(range(196, 204))
    assert differ


def test_front_end_options():
    encoder = load_log_mel_statistics(front_end={"n_mels": 40, "sample_rate": 32_000})
    assert (encoder.sample_rate, encoder.scene_embedding_size) == (32_000, 80)
    assert encoder.settings()["log_mel"]["n_mels"] == 40
    with pytest.raises(ValueError, match="front_end: unknown key 'n_mel', did you mean 'n_mels'"):
        load_log_mel_statistics(front_end={"n_mel": 40})
