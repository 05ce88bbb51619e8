from fractions import Fraction

import numpy as np
import pytest
import torch

from byola_diff.encoders.contract import Encoder
from byola_diff.models.frozen import FrozenEncoder
from tests.encoders.hear_contract import assert_hear_contract


class Toy(FrozenEncoder):
    """Weighted sums over 16 samples every 10, and a finer layer over 6 samples every 5."""

    sample_rate = 1000
    scene_embedding_size = timestamp_embedding_size = 3
    layer_strides = {"fine": 1, "coarse": 2}  # noqa: RUF012
    stride_samples, twice_first_center, kernel = 10, 16, 16

    def __init__(self, window_s=1000.0):
        super().__init__(window_s)
        weights = torch.randn(self.kernel, 3, generator=torch.Generator().manual_seed(0))
        self.weights = torch.nn.Parameter(weights)
        self.dropout = torch.nn.Dropout(0.5)
        self.passes = []
        self.freeze()

    def settings(self):
        return {}

    def samples_for(self, n_frames):
        return self.kernel + self.stride_samples * (n_frames - 1)

    def _frames(self, waveform):
        self.passes.append(waveform.shape[1])
        return self.dropout(waveform.unfold(1, self.kernel, self.stride_samples) @ self.weights)

    def _layers(self, waveform):
        fine = waveform.unfold(1, 6, 5) @ self.weights[:6]
        return {"fine": fine.transpose(1, 2)[:, None], "coarse": self._frames(waveform)}


class Rounded(Toy):
    """A network that gives bfloat16, as under autocast."""

    def _frames(self, waveform):
        return super()._frames(waveform).bfloat16()


class Scribbling(Toy):
    """A network that changes what it gets."""

    def _frames(self, waveform):
        frames = super()._frames(waveform)
        waveform.zero_()
        return frames


def noise(batch, n_samples):
    return torch.rand(batch, n_samples, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_is_an_encoder_that_stays_in_eval_mode():
    encoder = Toy().train()
    assert isinstance(encoder, Encoder)
    assert not encoder.training
    assert not encoder.dropout.training
    assert not any(weight.requires_grad for weight in encoder.parameters())


def test_frames_are_those_of_a_plain_loop():
    encoder, waveform = Toy(), noise(2, 57)
    expected = torch.stack(
        [waveform[:, start : start + 16] @ encoder.weights for start in range(0, 57 - 15, 10)], 1
    )
    torch.testing.assert_close(encoder.layers(waveform)["coarse"], expected)
    torch.testing.assert_close(encoder.scene(waveform), expected.mean(1) + expected.amax(1))
    embeddings, centres_ms = encoder.timestamps(waveform)
    torch.testing.assert_close(embeddings, expected)
    # 1000 Hz: a sample is a ms. The next centre, 58, lies outside the clip.
    assert centres_ms.tolist() == 2 * [[8, 18, 28, 38, 48]]


@pytest.mark.parametrize("n_samples", [1, 15, 16, 25, 26, 36, 45, 46, 56, 57, 65, 66, 1003])
@pytest.mark.parametrize("window_s", [0.01, 0.03])
def test_windows_equal_one_pass(window_s, n_samples):
    windowed, whole, waveform = Toy(window_s), Toy(), noise(2, n_samples)
    torch.testing.assert_close(windowed.scene(waveform), whole.scene(waveform))
    found, expected = windowed.timestamps(waveform), whole.timestamps(waveform)
    torch.testing.assert_close(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    found, expected = windowed.layers(waveform), whole.layers(waveform)
    assert list(found) == ["fine", "coarse"]
    for name, output in found.items():
        torch.testing.assert_close(output, expected[name])


def test_passes_are_as_long_as_the_window_allows():
    encoder = Toy(window_s=0.03)
    encoder.scene(noise(1, 100))
    # Three windows of three frames would need 96 samples and leave 10, too few for a frame.
    assert encoder.passes == [36, 36, 40]
    encoder.passes.clear()
    encoder.scene(noise(1, 106))
    assert encoder.passes == [36, 36, 36, 16]


@pytest.mark.parametrize("n_samples", [1, 7, 8, 9, 16, 17, 18, 27, 28, 37, 38, 39])
def test_every_centre_inside_the_clip_is_there(n_samples):
    embeddings, centres_ms = Toy().timestamps(noise(1, n_samples))
    inside = [8 + 10 * frame for frame in range(5) if 8 + 10 * frame <= n_samples]
    assert centres_ms.tolist() == [inside or [n_samples]]
    assert embeddings.shape[1] == len(inside or [n_samples])


def test_times_do_not_drift():
    class Slow(Toy):
        sample_rate = 44_100
        stride_samples, twice_first_center, kernel = 4411, 4411, 4411

    n_samples = 44_100 * 100
    _, centres_ms = Slow().timestamps(torch.zeros(1, n_samples))
    exact = [Fraction(4411 * (1 + 2 * frame) * 500, 44_100) for frame in range(centres_ms.shape[1])]
    assert centres_ms[0].tolist() == [float(np.float32(float(time))) for time in exact]
    assert centres_ms[0, -1] <= 100_000 < exact[-1] + Fraction(4411 * 1000, 44_100)


def test_short_clips_get_zeros_on_the_right():
    encoder, waveform = Toy(), noise(2, 3)
    expected = waveform @ encoder.weights[:3]
    torch.testing.assert_close(encoder.layers(waveform)["coarse"], expected[:, None])
    torch.testing.assert_close(encoder.scene(waveform), 2 * expected)  # mean + max of one frame


def test_contract():
    class Hear(Toy):
        sample_rate = 16_000

    assert_hear_contract(Hear(window_s=0.5))


def test_scene_of_a_head_and_of_another_pooling():
    class Head(Toy):
        pooling = "mean"

        def _timestamps(self, clips, n_frames):
            return -super()._timestamps(clips, n_frames)

    encoder, waveform = Head(), noise(1, 50)
    embeddings, _ = encoder.timestamps(waveform)
    coarse = encoder.layers(waveform)["coarse"]
    torch.testing.assert_close(embeddings[:, : coarse.shape[1]], -coarse)
    torch.testing.assert_close(encoder.scene(waveform), coarse.mean(1))


@pytest.mark.parametrize(
    ("waveform", "error", "match"),
    [
        (torch.zeros(1, 50, dtype=torch.int16), TypeError, "32768"),
        (torch.zeros(50), ValueError, r"waveform\[None\]"),
        (torch.zeros(1, 0), ValueError, "at least one"),
        (torch.tensor([[0.0], [float("nan")]]), ValueError, r"\[1\].*NaN"),
    ],
)
@pytest.mark.parametrize("method", ["scene", "timestamps", "layers"])
def test_bad_input_is_refused(method, waveform, error, match):
    with pytest.raises(error, match=match):
        getattr(Toy(), method)(waveform)


def test_a_window_must_hold_a_frame():
    Toy(window_s=0.01)
    with pytest.raises(ValueError, match="10 samples"):
        Toy(window_s=0.009)


@pytest.mark.parametrize("window_s", [1000.0, 0.05])
def test_scenes_are_pooled_in_float32(window_s):
    encoder, waveform = Rounded(window_s), noise(2, 997)
    frames = Toy()._frames(waveform).bfloat16().double()
    expected = frames.mean(dim=1) + frames.amax(dim=1)
    torch.testing.assert_close(encoder.scene(waveform).double(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("method", ["scene", "timestamps", "layers"])
def test_a_network_may_change_what_it_gets(method):
    waveform = noise(2, 300)
    before = waveform.clone()
    found, expected = Scribbling(window_s=0.05), Toy(window_s=0.05)  # windows share samples
    torch.testing.assert_close(
        getattr(found, method)(waveform), getattr(expected, method)(waveform)
    )
    assert torch.equal(waveform, before)
