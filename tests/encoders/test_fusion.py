"""Eqs. 1 to 3 of the fusion, the times of fused frames, and the encoder made of them."""

import copy

import numpy as np
import pytest
import torch

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.encoders.cnn14 import Cnn14, Cnn14Encoder
from byola_diff.encoders.content_hash import content_hash
from byola_diff.encoders.contract import Encoder
from byola_diff.encoders.fusion import FusedEncoder, fuse, layer_frames, layer_scenes
from byola_diff.encoders.vggish import Vggish, VggishEncoder
from byola_diff.models.cnn import AudioNTT2020, AudioNTT2022
from byola_diff.models.encoder import AudioEncoder
from tests.encoders.fake_encoders import (
    FakeCrepe,
    FakeMaps,
    FakeSegments,
    FakeSpeech,
    FakeTokens,
    Foreign,
)


@pytest.fixture(scope="module")
def ours():
    torch.manual_seed(0)
    return AudioEncoder(LogMel(), Normalize(-9.0, 4.5), AudioNTT2022(dim=1060))


def noise(batch, n_samples, seed=0):
    return torch.rand(batch, n_samples, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_maps_become_frames_by_maximum_over_time_and_channel_first():
    # Two channels, two mel bands, five frames; by two, the fifth is dropped.
    layer = torch.tensor(
        [[[[1.0, 5, 2, 3, 9], [0, 0, -4, -1, 9]], [[7, 6, 0, 0, 9], [-2, -3, 8, 8, 9]]]]
    )
    expected = torch.tensor([[[5.0, 0, 7, -2], [3, -1, 0, 8]]])
    torch.testing.assert_close(layer_frames(layer, 2), expected)


def test_frames_become_frames():
    layer = torch.tensor([[[1.0, 9], [2, 8], [3, 7], [4, 6]]])
    torch.testing.assert_close(layer_frames(layer, 1), layer)
    torch.testing.assert_close(layer_frames(layer, 2), torch.tensor([[[2.0, 9], [4, 7]]]))


def test_one_frame_is_enough_where_nothing_is_pooled():
    assert layer_frames(torch.ones(2, 3, 4, 1)).shape == (2, 1, 12)
    with pytest.raises(ValueError, match="3 frames cannot be pooled by 4"):
        layer_frames(torch.ones(1, 2, 2, 3), 4)


@pytest.mark.parametrize("n_frames", [32, 33, 63, 64, 101, 501, 1000])
def test_nested_halving_leaves_the_same_frames_in_all_layers(n_frames):
    # CNN14: five blocks halve time one after the other; all end on floor(T / 32) frames.
    strides, counts = {}, [n_frames]
    for block in range(5):
        counts.append(counts[-1] // 2)
        strides[str(block + 1)] = 2 ** (block + 1)
    layers = {str(block): torch.zeros(1, 1, 1, counts[block]) for block in range(1, 6)}
    for name in strides:
        assert fuse(layers, strides, [name]).shape[1] == n_frames // 32


def test_fusion_equals_a_transcription_in_numpy():
    generator = np.random.default_rng(0)
    maps = generator.standard_normal((2, 3, 4, 9)).astype("float32")
    frames = generator.standard_normal((2, 2, 5)).astype("float32")
    layers = {"low": torch.from_numpy(maps), "high": torch.from_numpy(frames)}
    found = fuse(layers, {"low": 2, "high": 8}, ["high", "low"]).numpy()
    for clip in range(2):
        for time in range(2):
            pooled = maps[clip, :, :, 4 * time : 4 * time + 4].max(axis=-1)
            expected = [*frames[clip, time], *(pooled[c, f] for c in range(3) for f in range(4))]
            np.testing.assert_array_equal(found[clip, time], np.array(expected))


def test_all_layers_of_the_encoder_set_the_clock():
    layers = {"a": torch.arange(8.0)[None, :, None], "c": torch.zeros(1, 2, 1)}
    found = fuse(layers, {"a": 1, "c": 4}, ["a"])
    torch.testing.assert_close(found, torch.tensor([[[3.0], [7.0]]]))


def test_one_odd_frame_is_cut_and_more_are_an_error():
    strides = {"a": 1, "b": 1}
    layers = {"a": torch.ones(1, 5, 2), "b": torch.zeros(1, 4, 1)}
    assert fuse(layers, strides, ["a", "b"]).shape == (1, 4, 3)
    layers["b"] = layers["b"][:, :3]
    with pytest.raises(ValueError, match="a, b have 5, 3 frames"):
        fuse(layers, strides, ["a", "b"])
    with pytest.raises(ValueError, match="stride of 2, which does not divide the coarsest one, 3"):
        fuse(layers, {"a": 2, "b": 3}, ["a"])


def test_scenes_of_layers():
    waveform = noise(2, 16_000)
    encoder = FakeMaps()
    scenes = layer_scenes(encoder, waveform)
    assert list(scenes) == ["a", "b", "c", "d"]
    for name, layer in encoder.layers(waveform).items():
        frames = layer.flatten(1, 2) if layer.ndim == 4 else layer.transpose(1, 2)
        by = 4 // encoder.layer_strides[name]
        if by > 1:
            frames = torch.nn.functional.max_pool1d(frames, by)
        torch.testing.assert_close(scenes[name], frames.mean(dim=-1) + frames.amax(dim=-1))


def test_ours_by_hand(ours):
    waveform = noise(1, 16_000)
    layers = ours.layers(waveform)
    conv1 = torch.nn.functional.max_pool2d(layers["conv1"], (1, 2)).flatten(1, 2)
    frames = torch.cat([conv1[..., :25], layers["output"].transpose(1, 2)], dim=1)
    fused = FusedEncoder(ours, ["conv1", "output"])
    assert isinstance(fused, Encoder)
    assert fused.scene_embedding_size == 64 * 32 + 1060
    torch.testing.assert_close(fused.scene(waveform), frames.mean(dim=-1) + frames.amax(dim=-1))


@pytest.mark.parametrize("n_samples", [1, 500, 12_345, 16_000, 16_333, 48_001])
def test_the_output_layer_alone_is_the_encoder(ours, n_samples):
    fused, waveform = FusedEncoder(ours, ["output"]), noise(2, n_samples)
    torch.testing.assert_close(fused.scene(waveform), ours.scene(waveform))
    for found, expected in zip(fused.timestamps(waveform), ours.timestamps(waveform), strict=True):
        torch.testing.assert_close(found, expected)


def test_layers_without_a_time_axis_are_not_pooled():
    encoder, waveform = FakeTokens(4), noise(2, 16_000)
    fused = FusedEncoder(encoder, ["0", "2"])
    layers = encoder.layers(waveform)
    expected = torch.cat([layers["0"][:, 0], layers["2"][:, 0]], dim=-1)
    torch.testing.assert_close(fused.scene(waveform), expected)
    torch.testing.assert_close(layer_scenes(encoder, waveform)["2"], layers["2"][:, 0])
    frames, centers_ms = fused.timestamps(waveform)
    torch.testing.assert_close(centers_ms, encoder.timestamps(waveform)[1])
    torch.testing.assert_close(frames, expected[:, None].repeat(1, 49, 1))


def test_pooling_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"'mean\+max' does not fit.*no time axis"):
        FusedEncoder(FakeTokens(4), ["0"], "mean+max")
    with pytest.raises(ValueError, match=r"'first' does not fit.*have a time axis"):
        FusedEncoder(FakeSpeech(4), ["0"], "first")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "z"], "no layer z: the encoder has a, b, c, d"),
        ([], "each once, of a, b, c, d"),
        (["a", "a"], "each once"),
    ],
)
def test_names_that_do_not_fit_are_refused(names, message):
    with pytest.raises(ValueError, match=message):
        FusedEncoder(FakeMaps(), names)


def test_hear_contract(check_hear_contract, ours):
    check_hear_contract(FusedEncoder(ours, list(ours.layer_strides)))
    torch.manual_seed(1)
    v1 = AudioEncoder(LogMel(), Normalize(-9.0, 4.5), AudioNTT2020(dim=16))
    check_hear_contract(FusedEncoder(v1, ["conv1", "conv2", "conv3", "fc2"]))
    for encoder, names in ((FakeSegments(), ["a", "d"]), (FakeTokens(4), ["0", "1"])):
        check_hear_contract(FusedEncoder(encoder, names))


def test_settings_tell_fusions_apart():
    encoder = FakeMaps()
    fused = FusedEncoder(encoder, ["a", "c"])
    assert fused.settings() == {"layers": ["a", "c"], "pooling": "mean+max"}
    others = [
        FusedEncoder(encoder, ["c", "a"]),
        FusedEncoder(encoder, ["a", "c"], "mean"),
        FusedEncoder(FakeMaps(seed=1), ["a", "c"]),
        encoder,
    ]
    digests = {content_hash(each) for each in [fused, *others]}
    assert len(digests) == 5
    assert content_hash(FusedEncoder(copy.deepcopy(encoder), ["a", "c"])) in digests


def test_stays_in_eval_mode(ours):
    fused = FusedEncoder(ours, ["conv1"])
    assert not any(module.training for module in fused.train().modules())
    assert not fused.scene(noise(1, 8000)).requires_grad


def test_bad_waveforms_are_refused(ours):
    fused = FusedEncoder(ours, ["conv1"])
    for encode in (fused.scene, fused.timestamps, fused.layers):
        with pytest.raises(ValueError, match="NaN"):
            encode(torch.full((1, 800), float("nan")))
        with pytest.raises(TypeError, match="float"):
            encode(torch.zeros(1, 800, dtype=torch.int16))


def test_cnn14_frames_are_those_of_its_last_blocks(check_hear_contract):
    encoder = Cnn14Encoder(Cnn14(channels=1))
    fused = FusedEncoder(encoder, ["3", "6"])
    assert fused.scene_embedding_size == 32 + 64
    waveform = noise(1, 16_000)
    torch.testing.assert_close(fused.timestamps(waveform)[1], encoder.timestamps(waveform)[1])
    assert fused.layers(waveform)["fusion"].shape == (1, 3, 96)
    check_hear_contract(fused)


def test_layers_in_bfloat16_are_pooled_in_float32():
    class Rounded(Foreign):
        def layers(self, waveform):
            return {"embedding": super().layers(waveform)["embedding"].bfloat16()}

    waveform = noise(2, 9000)
    frames = Rounded().layers(waveform)["embedding"].double()
    expected = (frames.mean(dim=1) + frames.amax(dim=1)).float()
    torch.testing.assert_close(layer_scenes(Rounded(), waveform)["embedding"], expected)
    torch.testing.assert_close(FusedEncoder(Rounded(), ["embedding"]).scene(waveform), expected)


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
