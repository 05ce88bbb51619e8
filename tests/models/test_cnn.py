import pytest
import torch
import torch.nn.functional as F
from torch import nn

from byola_diff.models.cnn import ENCODERS, AudioNTT2020, AudioNTT2022


def trained_like(network):
    """Weights and batch statistics that differ from their defaults, in eval mode."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
        elif not name.endswith("num_batches_tracked"):
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.05)
    return network.eval()


def reference(weights, log_mel):
    """BYOL-A's forward pass, written from the published description in plain functions."""
    maps, block = log_mel, 0
    while f"features.{4 * block}.weight" in weights:
        conv, norm = f"features.{4 * block}", f"features.{4 * block + 1}"
        maps = F.conv2d(maps, weights[f"{conv}.weight"], weights[f"{conv}.bias"], padding=1)
        mean, var = weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"]
        maps = (maps - mean[:, None, None]) / torch.sqrt(var + 1e-5)[:, None, None]
        maps = (
            maps * weights[f"{norm}.weight"][:, None, None] + weights[f"{norm}.bias"][:, None, None]
        )
        maps = F.max_pool2d(maps.clamp_min(0), 2)
        block += 1
    batch, channels, n_mels, n_frames = maps.shape
    # Frame first, then mel major and channel minor.
    frames = maps.permute(0, 3, 2, 1).reshape(batch, n_frames, n_mels * channels)
    hidden = (frames @ weights["fc.0.weight"].T + weights["fc.0.bias"]).clamp_min(0)
    out = (hidden @ weights["fc.3.weight"].T + weights["fc.3.bias"]).clamp_min(0)
    return torch.cat([frames, out], dim=-1) if block == 2 else out


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (lambda: AudioNTT2020(dim=512), 600_192),
        (lambda: AudioNTT2020(dim=1024), 1_649_792),
        (lambda: AudioNTT2020(dim=2048), 5_321_856),
        (lambda: AudioNTT2022(dim=2048), 4_235_200),
        (lambda: AudioNTT2022(dim=3072), 6_333_376),
    ],
)
def test_parameter_counts_are_the_published_ones(network, expected):
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in network().parameters()) == expected


def test_stored_elements_are_those_of_the_released_file():
    with torch.device("meta"):
        state = AudioNTT2020(dim=512).state_dict()
    assert sum(tensor.numel() for tensor in state.values()) == 600_579


def test_names_are_the_released_ones():
    blocks = {2020: (0, 4, 8), 2022: (0, 4)}
    for year, starts in blocks.items():
        expected = {f"{name}.{kind}" for name in ("fc.0", "fc.3") for kind in ("weight", "bias")}
        for start in starts:
            expected |= {f"features.{start}.{kind}" for kind in ("weight", "bias")}
            expected |= {
                f"features.{start + 1}.{kind}"
                for kind in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
            }
        with torch.device("meta"):
            network = ENCODERS[f"AudioNTT{year}"]()
        assert set(network.state_dict()) == expected


@pytest.mark.parametrize(
    ("network", "log_mel_shape"),
    [
        (AudioNTT2020(dim=32), (2, 1, 64, 96)),
        (AudioNTT2020(n_mels=16, dim=32), (1, 1, 16, 23)),
        (AudioNTT2022(dim=1056), (2, 1, 64, 96)),
        (AudioNTT2022(n_mels=16, dim=288), (1, 1, 16, 23)),
    ],
)
def test_forward_equals_an_independent_transcription(network, log_mel_shape):
    log_mel = torch.randn(log_mel_shape, generator=torch.Generator().manual_seed(0))
    network = trained_like(network)
    out = network(log_mel)
    assert out.std() > 0.01
    torch.testing.assert_close(out, reference(network.state_dict(), log_mel), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("network", "expected"), [(AudioNTT2020(dim=32), 12), (AudioNTT2022(dim=1056), 24)]
)
def test_frame_counts(network, expected):
    assert network.eval()(torch.zeros(1, 1, 64, 96)).shape == (1, expected, network.dim)
    assert network(torch.zeros(1, 1, 64, 96 + network.frame_stride - 1)).shape[1] == expected
    assert network.frame_stride == 96 // expected


@pytest.mark.parametrize("network", [AudioNTT2020(dim=32), AudioNTT2022(dim=1056)])
def test_layers_end_in_the_forward_pass(network):
    network = trained_like(network)
    log_mel = torch.randn(2, 1, 64, 96, generator=torch.Generator().manual_seed(0))
    layers = network.layers(log_mel)
    n_blocks = 3 if network.frame_stride == 8 else 2
    convs = [f"conv{block}" for block in range(1, n_blocks + 1)]
    assert list(layers) == [*convs, "fc1", "fc2", "output"]
    for block, name in enumerate(convs, start=1):
        assert layers[name].shape == (2, 64, 64 >> block, 96 >> block)
    torch.testing.assert_close(layers["output"], network(log_mel), rtol=0, atol=1e-6)
    hidden = 32 if n_blocks == 3 else 2048
    assert layers["fc1"].shape == (2, 96 // network.frame_stride, hidden)
    tail = layers["output"][..., -layers["fc2"].shape[-1] :]
    torch.testing.assert_close(layers["fc2"], tail, rtol=0, atol=1e-6)
    assert layers["fc1"].amin() >= 0


def test_convolution_features_come_first_in_2022():
    network = trained_like(AudioNTT2022(dim=1056))
    layers = network.layers(torch.randn(1, 1, 64, 16, generator=torch.Generator().manual_seed(0)))
    # Feature mel * 64 + channel.
    assert layers["output"][0, 3, 5 * 64 + 7] == layers["conv2"][0, 7, 5, 3]


def test_refuses_mel_bands_that_do_not_halve():
    with pytest.raises(ValueError, match="multiple of 8, not 60"):
        AudioNTT2020(n_mels=60)
    with pytest.raises(ValueError, match="multiple of 4, not 62"):
        AudioNTT2022(n_mels=62)


def test_refuses_a_dimension_without_room_for_the_mlp():
    with pytest.raises(ValueError, match="exceed the 1024"):
        AudioNTT2022(dim=1024)


def plain_forward(network, log_mel):
    """The encoder by the modules it is made of, each called in turn."""
    frames = network.features(log_mel).permute(0, 3, 2, 1).flatten(2)
    if isinstance(network, AudioNTT2022):
        return torch.cat([frames, network.fc(frames)], dim=-1)
    return network.fc(frames)


@pytest.mark.parametrize(
    "make_network",
    [lambda: AudioNTT2020(n_mels=32, dim=64), lambda: AudioNTT2022(n_mels=16, dim=320)],
)
@pytest.mark.parametrize("n_frames", [24, 23])
def test_encoder_in_train_mode_equals_its_modules(make_network, n_frames):
    runs = []
    for forward in (lambda network, log_mel: network(log_mel), plain_forward):
        torch.manual_seed(0)
        network = make_network().train()
        log_mel = torch.randn(4, 1, network.n_mels, n_frames, requires_grad=True)
        with torch.no_grad():
            for norm in (m for m in network.features if isinstance(m, nn.BatchNorm2d)):
                norm.weight.normal_()  # of both signs
        out = forward(network, log_mel)  # the same dropout mask: the same draws came before
        # Sums of many terms of either sign, about 1 each.
        (out * torch.randn(out.shape)).mean().mul(100).backward()
        gradients = {name: weight.grad for name, weight in network.named_parameters()}
        buffers = dict(network.named_buffers())
        runs.append({"out": out.detach(), "log_mel": log_mel.grad, **gradients, **buffers})
    for name, expected in runs[1].items():
        torch.testing.assert_close(
            runs[0][name], expected, rtol=0, atol=1e-5, msg=lambda text, n=name: f"{n}: {text}"
        )


def test_encoder_in_eval_mode_keeps_its_statistics():
    network = AudioNTT2020(n_mels=16, dim=32).eval()
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    network(torch.randn(2, 1, 16, 24, generator=torch.Generator().manual_seed(0)))
    for name, buffer in network.named_buffers():
        assert torch.equal(buffer, before[name])
