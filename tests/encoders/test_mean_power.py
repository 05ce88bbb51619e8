import pytest
import torch

from byola_diff.audio.log_mel import LogMel
from byola_diff.encoders.mean_power import load_mean_power
from byola_diff.evaluation.additivity.measures import additivity, embed_over_snr
from byola_diff.evaluation.additivity.quadruples import Sources, event_sounds
from byola_diff.models.precision import bfloat16_networks
from tests.helpers import uniform_noise


@pytest.fixture(scope="module")
def encoder():
    return load_mean_power()


def test_hear_contract(encoder, check_hear_contract):
    check_hear_contract(encoder)


def test_scene_is_the_mean_power_of_each_band(encoder):
    waveform = uniform_noise(2, 16_000)
    power = LogMel()(waveform)[:, 0].double().exp()  # [batch, mel, frame]
    assert encoder.scene_embedding_size == 64
    torch.testing.assert_close(
        encoder.scene(waveform), power.mean(-1).float(), atol=1e-5, rtol=1e-4
    )


def test_timestamps_and_the_one_layer_are_powers_every_10_ms(encoder):
    waveform = uniform_noise(1, 1600)
    frames, centers_ms = encoder.timestamps(waveform)
    assert centers_ms.tolist() == [[10.0 * frame for frame in range(11)]]
    power = LogMel().mel_power(waveform)[0]
    torch.testing.assert_close(frames[0], power.T)
    assert encoder.layer_strides == {"mel_power": 1}
    torch.testing.assert_close(encoder.layers(waveform)["mel_power"][0, 0], power)


def test_twice_the_amplitude_is_four_times_the_power(encoder):
    waveform = uniform_noise(1, 16_000) / 2
    torch.testing.assert_close(encoder.scene(2 * waveform), 4 * encoder.scene(waveform))
    assert not encoder.scene(torch.zeros(1, 8000)).any()


def test_powers_of_tones_far_apart_add_up(encoder):
    seconds = torch.arange(16_000) / 16_000
    low, high = (torch.sin(2 * torch.pi * hz * seconds)[None] for hz in (300, 3000))
    apart = encoder.scene(low) + encoder.scene(high)
    # What is left is of the first and last frame, where the tones are reflected.
    assert (encoder.scene(low + high) - apart).norm() < 0.01 * apart.norm()


def test_it_is_nearly_additive_as_built(encoder):
    sounds = event_sounds(Sources(), 30, (0.0,), 1.0, 0, encoder.sample_rate)
    [(_, embedded)] = embed_over_snr(encoder.scene, sounds, (0.0,))
    assert additivity(*embedded)["cosine"] > 0.9


def test_front_end_options():
    encoder = load_mean_power(front_end={"n_mels": 40, "sample_rate": 32_000})
    assert (encoder.sample_rate, encoder.scene_embedding_size) == (32_000, 40)
    assert encoder.settings()["log_mel"]["n_mels"] == 40
    with pytest.raises(ValueError, match="front_end: unknown key 'n_mel', did you mean 'n_mels'"):
        load_mean_power(front_end={"n_mel": 40})


def test_nothing_of_it_is_rounded(encoder):
    waveform = uniform_noise(1, 16_000)
    expected = encoder.scene(waveform), encoder.timestamps(waveform)[0]
    with bfloat16_networks():
        assert torch.equal(encoder.scene(waveform), expected[0])
        assert torch.equal(encoder.timestamps(waveform)[0], expected[1])
