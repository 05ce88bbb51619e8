"""What makes frozen encoders fast leaves embeddings as the stock modules give them."""

import pytest
import torch
from torch import nn

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.models.cnn import AudioNTT2020, AudioNTT2022
from byola_diff.models.encoder import AudioEncoder


def trained_like(network):
    """Statistics and scales that do something; some scales negative, one zero."""
    generator = torch.Generator().manual_seed(0)
    for layer in network.features:
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.data = torch.randn(64, generator=generator)
            layer.weight.data[0] = 0
            layer.bias.data = torch.randn(64, generator=generator) / 2
            layer.running_mean.copy_(torch.randn(64, generator=generator))
            layer.running_var.copy_(torch.rand(64, generator=generator) + 0.3)
    return network


@pytest.mark.parametrize("kind", [AudioNTT2020, AudioNTT2022])
@pytest.mark.parametrize("n_clips", [1, 7])
def test_scenes_are_those_of_stock_modules(kind, n_clips):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = trained_like(kind(dim=1100))
    encoder = AudioEncoder(LogMel(), Normalize(-9.0, 4.5), network, window_frames=4096)
    generator = torch.Generator().manual_seed(1)
    waveform = torch.randn(n_clips, 40_000, generator=generator) / 10
    with torch.no_grad():  # 251 frames a clip: seven clips take two passes
        maps = network.features(encoder.normalize(encoder.log_mel(waveform)))
        frames = maps.permute(0, 3, 2, 1).flatten(2)
        hidden = network.fc(frames)
        frames = torch.cat([frames, hidden], -1) if kind is AudioNTT2022 else hidden
        expected = frames.mean(1) + frames.amax(1)
    error = (encoder.scene(waveform) - expected).norm(dim=1) / expected.norm(dim=1)
    assert error.max() < 1e-5


def test_training_mode_keeps_batch_statistics():
    network = AudioNTT2022(dim=1100).train()
    before = network.features[1].running_mean.clone()
    network(torch.randn(2, 1, 64, 16))
    assert not torch.equal(network.features[1].running_mean, before)
