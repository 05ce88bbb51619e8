import pytest
import torch

from byola_diff.adapters.s3prl import UpstreamExpert
from tests.adapters.level_encoder import SPEC
from tests.helpers import uniform_noise


@pytest.fixture(scope="module")
def expert():
    return UpstreamExpert(SPEC, None, refresh=False)


def test_layers_by_hand(expert):
    # 10 ms are 160 samples of S3PRL and 80 of the encoder; silence resamples to silence.
    found = expert([torch.zeros(480), torch.zeros(160)])
    assert list(found) == ["half", "mean", "both", "last_hidden_state", "hidden_states"]
    assert found["half"].shape == (2, 3, 1)
    assert not found["both"].any()
    assert [state.shape for state in found["hidden_states"]] == [(2, 3, 2)] * 2
    assert torch.equal(found["hidden_states"][0], found["mean"])
    assert torch.equal(found["hidden_states"][1], found["both"])
    assert torch.equal(found["last_hidden_state"], found["both"])


def test_clips_of_unequal_length_are_those_alone_and_then_zeros(expert):
    clips = [0.1 * uniform_noise(n, seed=n) for n in (1600, 480, 1600, 1000)]
    found = expert(clips)["last_hidden_state"]
    assert found.shape == (4, 10, 2)
    for row, clip in zip(found, clips, strict=True):
        alone = expert([clip])["last_hidden_state"][0]
        torch.testing.assert_close(row[: len(alone)], alone, rtol=0, atol=1e-7)
        assert not row[len(alone) :].any()
    assert found[1, :3].all()


def test_clips_are_resampled(expert):
    # A steady level stays what it is, away from the ends.
    found = expert([torch.full((16_000,), 0.5)])["both"]
    torch.testing.assert_close(found[0, 10:90, 0], torch.full((80,), 0.5), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("encoder_spec", "rate"), [(SPEC, 160), ("byola-diff-small", 1280), ("byola-diff", 640)]
)
def test_downsample_rate_fits_the_number_of_frames(encoder_spec, rate):
    expert = UpstreamExpert(encoder_spec)
    assert expert.get_downsample_rates("hidden_states") == rate
    for n_samples in (16_000, 40_321):
        [state, *_] = expert([torch.zeros(n_samples)])["hidden_states"]
        assert abs(state.shape[1] - n_samples / rate) <= 1


def test_last_state_of_ours_is_the_timestamp_embeddings():
    expert = UpstreamExpert("byola-diff-small")
    clip = 0.1 * uniform_noise(20_000)
    found = expert([clip])
    assert set(found) > {"conv1", "conv2", "conv3", "fc1", "output"}
    expected = expert.encoder.timestamps(clip[None])[0]
    torch.testing.assert_close(found["last_hidden_state"], expected)
    # As wide as the output, so that a weighted sum may be learned.
    for state, name in zip(found["hidden_states"], ["conv3", "fc1", "fc2", "output"], strict=True):
        assert torch.equal(state, found[name])


def test_layers_without_a_time_axis_are_left_out():
    expert = UpstreamExpert("python:tests.adapters.level_encoder:TokenEncoder")
    found = expert([torch.zeros(1600)])
    assert list(found) == ["timestamps", "last_hidden_state", "hidden_states"]
    assert found["timestamps"].shape == (1, 10, 2)


def test_short_clips(expert):
    found = expert([torch.zeros(0), torch.ones(1)])
    assert found["last_hidden_state"].shape == (2, 1, 2)
    assert found["last_hidden_state"].isfinite().all()
