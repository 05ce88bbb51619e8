"""Graphs to be deployed, run as they are, against the encoder that they were made of."""

import pytest
import torch
from torch import nn

from byola_diff.encoders.byola import LayeredEncoder
from byola_diff.models.cnn import AudioNTT2020
from byola_diff.models.deployed import DeployedScene, DeployedTimestamps
from tests.helpers import uniform_noise
from tests.models.test_encoder import make_encoder

LENGTHS = [
    *(1, 2, 160, 479, 480, 481, 559, 560, 561, 879, 880),
    *(1119, 1120, 1121, 1839, 1840, 16_000, 16_081),
]
"""Around the shortest inputs, the first and second centres and whole strides of both networks."""


@pytest.fixture(scope="module", params=["2020", "2022"])
def encoder(request):
    return make_encoder(request.param, window_samples=400, n_fft=400)


def assert_close(found, expected, relative=2e-5):
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= relative * expected.abs().max()


def test_scene_is_that_of_the_encoder(encoder):
    graph = DeployedScene(encoder)
    for n_samples in LENGTHS:
        waveform = uniform_noise(2, n_samples, seed=n_samples)
        assert_close(graph(waveform), encoder.scene(waveform))


def test_a_graph_is_for_inference_and_no_encoder(encoder):
    graph = DeployedTimestamps(encoder)
    assert not hasattr(graph, "embed")  # which would ask for its `scene`
    assert not any(module.training for module in graph.modules())
    assert not any(weight.requires_grad for weight in graph.parameters())


def test_timestamps_are_those_of_the_encoder(encoder):
    graph = DeployedTimestamps(encoder)
    for n_samples in LENGTHS:
        waveform = uniform_noise(2, n_samples, seed=n_samples)
        embeddings, centers_ms = graph(waveform)
        expected, expected_ms = encoder.timestamps(waveform)
        assert_close(embeddings, expected)
        torch.testing.assert_close(centers_ms, expected_ms, rtol=0, atol=0)


def test_long_clips_are_as_in_windows(encoder):
    # More than the 4096 frames that the encoder takes in one pass.
    waveform = uniform_noise(1, 45 * 16_000)
    assert_close(DeployedScene(encoder)(waveform), encoder.scene(waveform))


def test_a_wide_fft_makes_the_shortest_input_longer():
    encoder = make_encoder("2022", n_fft=2048, window_samples=2048)
    assert DeployedScene(encoder).shortest_samples == 1025
    for n_samples in (1, 700, 1025):
        waveform = uniform_noise(1, n_samples)
        assert_close(DeployedScene(encoder)(waveform), encoder.scene(waveform))
        found, expected = DeployedTimestamps(encoder)(waveform), encoder.timestamps(waveform)
        assert_close(found[0], expected[0])


@pytest.mark.parametrize(("weights", "relative"), [("float16", 1e-3), ("int8", 2e-2)])
def test_small_weights_cost_little_and_the_encoder_keeps_its_own(encoder, weights, relative):
    waveform = uniform_noise(2, 16_000)
    expected = encoder.scene(waveform)
    graph = DeployedScene(encoder, weights)
    embedding = graph(waveform)
    assert not torch.equal(embedding, DeployedScene(encoder)(waveform))
    assert_close(embedding, expected, relative)
    torch.testing.assert_close(encoder.scene(waveform), expected, rtol=0, atol=0)
    kinds = {each.dtype for each in graph.network.fc.state_dict().values() if each.ndim == 2}
    matrices = {"float16": {torch.float16}, "int8": {torch.int8, torch.float32}}
    assert kinds == matrices[weights]  # of int8 the scales, too


def test_rows_of_int8_have_scales_of_their_own():
    encoder = make_encoder("2020")
    first = encoder.network.fc[0]
    assert isinstance(first, nn.Linear)
    with torch.no_grad():
        first.weight.zero_()
        first.weight[0, :3] = torch.tensor([127.0, -64.0, 0.4])
        first.weight[1, :2] = torch.tensor([1e-3, -1e-3])
    stored = DeployedScene(encoder, "int8").network.fc[0]
    assert stored.stored[0, :4].tolist() == [127, -64, 0, 0]
    assert stored.stored[1, :3].tolist() == [127, -127, 0]
    assert stored.stored[2:].unique().tolist() == [0]
    assert DeployedScene(encoder, "int8")(uniform_noise(1, 16_000)).isfinite().all()


def test_weights_beyond_float16_are_refused():
    encoder = make_encoder("2020")
    with torch.no_grad():
        encoder.network.fc[3].weight[0, 0] = 70_000
    with pytest.raises(ValueError, match="beyond float16"):
        DeployedScene(encoder, "float16")


def test_an_encoder_that_does_more_is_refused():
    encoder = make_encoder("2020")
    layered = LayeredEncoder(encoder.log_mel, encoder.normalize, AudioNTT2020(dim=2048))
    with pytest.raises(TypeError, match="not LayeredEncoder"):
        DeployedScene(layered)
