import pytest
import torch

from byola_diff.adapters.xares import XaresEncoder, encoder_class
from byola_diff.encoders.open import open_encoder
from tests.adapters.level_encoder import OTHER_SPEC, SPEC, LevelEncoder
from tests.helpers import uniform_noise


def test_interface_and_values():
    encoder = encoder_class(SPEC)()
    assert isinstance(encoder, torch.nn.Module)
    assert (encoder.sampling_rate, encoder.output_dim, encoder.hop_size_in_ms) == (8000, 2, 10.0)
    audio = torch.cat([torch.full((1, 80), 0.5), torch.full((1, 80), -0.25)], dim=1)
    expected = torch.tensor([[[0.5, 0.25], [-0.25, 0.0625]]])
    torch.testing.assert_close(encoder(audio), expected)
    torch.testing.assert_close(encoder(audio[0]), expected)  # one clip


def test_objects_share_an_encoder_on_any_device():
    kind = encoder_class(SPEC)
    first = kind().to("meta")
    second = kind()
    assert second.encoder is first.encoder
    assert second.encoder.gain.device.type == "meta"
    assert second.hop_size_in_ms == 10.0


def test_frames_are_the_timestamp_embeddings():
    encoder = encoder_class("byola-diff-small")()
    audio = 0.1 * uniform_noise(2, 50_000)
    frames, centers_ms = encoder.encoder.timestamps(audio)
    assert torch.equal(encoder(audio), frames)
    assert frames.shape == (2, 39, 512)
    assert encoder.hop_size_in_ms == pytest.approx((centers_ms[0, 1] - centers_ms[0, 0]).item())


@pytest.mark.parametrize("n_samples", [0, 1, 79])
def test_short_clips_give_a_frame(n_samples):
    frames = XaresEncoder(LevelEncoder(), 10.0)(torch.ones(3, n_samples))
    assert frames.shape == (3, 1, 2)
    assert frames.isfinite().all()


def test_the_name_of_the_class_tells_encoders_apart():
    names = [encoder_class(spec).__name__ for spec in (SPEC, OTHER_SPEC, SPEC)]
    assert names[0] == names[2] != names[1]
    assert all(name.endswith("Encoder") and name.isidentifier() for name in names)
    assert open_encoder(SPEC).content_hash[:12] in names[0]
