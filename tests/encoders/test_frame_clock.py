"""Where fused frames lie in a clip."""

import pytest
import torch

from byola_diff.encoders.fusion import FusedEncoder
from byola_diff.encoders.vggish import Vggish, VggishEncoder
from tests.encoders.fake_encoders import FakeCrepe, FakeMaps, FakeSegments, FakeSpeech, Foreign


def noise(batch, n_samples, seed=0):
    return torch.rand(batch, n_samples, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize(
    ("encoder", "name"), [(FakeMaps(), "d"), (FakeSpeech(4), "2"), (FakeCrepe(16, 100), "5")]
)
@pytest.mark.parametrize("n_samples", [1, 399, 640, 8_000, 16_080])
def test_frames_lie_where_those_of_the_encoder_do(encoder, name, n_samples):
    waveform = noise(2, n_samples)
    found, expected = (
        FusedEncoder(encoder, [name]).timestamps(waveform),
        encoder.timestamps(waveform),
    )
    torch.testing.assert_close(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1], rtol=0, atol=0)


def test_layers_finer_than_output_frames():
    # Segments of 1920 samples with three fused frames of 640 each, centred on 320, 960, 1600.
    encoder, waveform = FakeSegments(), noise(1, 4700)
    fused = FusedEncoder(encoder, ["a", "c"])
    frames, centers_ms = fused.timestamps(waveform)
    assert centers_ms[0].tolist() == [20.0, 60.0, 100.0, 140.0, 180.0, 220.0, 260.0]
    padded = torch.nn.functional.pad(waveform, (0, 3 * 1920 - 4700))
    torch.testing.assert_close(frames, fused.layers(padded)["fusion"][:, :7])
    # Whole segments only.
    assert fused.layers(waveform)["fusion"].shape == (1, 6, 12)


def test_click_is_in_the_frame_at_its_time():
    waveform = torch.zeros(1, 16_000)
    waveform[0, 9_000:9_160] = 1.0
    for encoder in (FakeMaps(), FakeSegments()):
        frames, centers_ms = FusedEncoder(encoder, ["a"]).timestamps(waveform)
        loudest = centers_ms[0, frames[0, :, 0].argmax()].item()
        assert abs(loudest - 565) <= 20


def test_encoder_that_does_not_tell_its_clock():
    waveform = noise(2, 1600)
    fused = FusedEncoder(Foreign(), ["embedding"])
    torch.testing.assert_close(fused.timestamps(waveform), Foreign().timestamps(waveform))
    with pytest.raises(ValueError, match="Foreign give 12 frames where its clock has 11"):
        FusedEncoder(Foreign(late=1), ["embedding"]).timestamps(waveform)


def test_vggish_has_six_fused_frames_a_segment():
    fused = FusedEncoder(VggishEncoder(Vggish(hidden=4)), ["10", "15"])
    assert fused.scene_embedding_size == 8192
    # Pools of 16 log-mel frames: each is centred 7.5 hops and half a window after its start.
    _, centers_ms = fused.timestamps(torch.zeros(1, 31_100))
    assert centers_ms[0].tolist() == [87.5 + 160 * i for i in range(12)]
    assert fused.layers(torch.zeros(1, 31_100))["fusion"].shape == (1, 12, 8192)
