import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.functional import dropout, max_pool2d

from byola_diff.models.cnn import (
    ENCODERS,
    AudioNTT2020,
    AudioNTT2022,
    FastDropout,
    norm_relu_pool,
)


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


@pytest.mark.parametrize("p", [0.3, 0.5, 0.01])
def test_dropout_share_of_zeros_and_mean(p):
    torch.manual_seed(0)
    out = FastDropout(p)(torch.ones(1_000_000))
    deviation = (p * (1 - p) / 1e6) ** 0.5
    assert (out == 0).double().mean().item() == pytest.approx(p, abs=5 * deviation)
    # A kept value is 1 / (1 - p), so the deviation of the mean is that of the share over 1 - p.
    assert out.double().mean().item() == pytest.approx(1, abs=5 * deviation / (1 - p))
    kept = out[out != 0]
    assert len(kept.unique()) == 1
    # The probability is rounded to 1/65536, the scale with it.
    assert kept[0].item() == pytest.approx(1 / (1 - p), abs=2e-5 / (1 - p) ** 2)


def test_dropout_mean_is_kept_by_the_rounded_probability_exactly():
    # 0.3 of 65536 values is 19661: those are dropped, and the scale belongs to the same number.
    torch.manual_seed(0)
    out = FastDropout(0.3)(torch.ones(64))
    assert out.amax().item() == pytest.approx(65536 / (65536 - 19661), abs=1e-7)


def test_dropout_neighbouring_values_are_independent():
    # Four values share a 64-bit draw: each place of the four, and each pair of places.
    torch.manual_seed(0)
    zeros = (FastDropout(0.3)(torch.ones(250_000, 4)) == 0).double()
    assert ((zeros.mean(0) - 0.3).abs() < 5 * (0.21 / 250_000) ** 0.5).all()
    correlation = torch.corrcoef(zeros.T) - torch.eye(4)
    assert correlation.abs().max() < 5 / 250_000**0.5


def test_dropout_mask_is_new_at_each_call_and_repeats_under_a_seed():
    layer, values = FastDropout(0.3), torch.ones(1000)
    torch.manual_seed(0)
    first, second = layer(values), layer(values)
    torch.manual_seed(0)
    assert torch.equal(layer(values), first)
    assert 300 < (first != second).sum() < 540  # 2 * 0.3 * 0.7 of 1000, and some


def test_dropout_eval_is_the_identity_and_draws_nothing():
    layer = FastDropout(0.3).eval()
    values = torch.randn(7, generator=torch.Generator().manual_seed(0))
    state = torch.get_rng_state()
    assert torch.equal(layer(values), values)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("shape", [(), (1,), (2,), (3,), (5,), (0,), (3, 7), (2, 1, 3, 5)])
def test_dropout_any_size(shape):
    torch.manual_seed(0)
    out = FastDropout(0.5)(torch.ones(shape))
    assert out.shape == shape
    assert ((out == 0) | (out == 2)).all()


def test_dropout_gradient_is_the_mask_over_the_kept_share():
    torch.manual_seed(0)
    values = torch.full((1000,), 3.0, requires_grad=True)
    out = FastDropout(0.3)(values)
    out.sum().backward()
    torch.testing.assert_close(values.grad, out.detach() / 3, rtol=0, atol=1e-6)


def test_dropout_keeps_bfloat16():
    torch.manual_seed(0)
    out = FastDropout(0.5)(torch.ones(100, dtype=torch.bfloat16))
    assert out.dtype == torch.bfloat16
    assert set(out.tolist()) == {0.0, 2.0}


def test_dropout_follows_a_layout_with_swapped_axes():
    torch.manual_seed(0)
    values = torch.arange(1.0, 16).reshape(3, 5).T
    out = FastDropout(0.5)(values)
    assert ((out == 0) | (out == 2 * values)).all()


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_dropout_ends_equal_torch(p):
    values = torch.randn(9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(FastDropout(p)(values), dropout(values, p))


def test_dropout_refuses_what_torch_refuses():
    with pytest.raises(ValueError, match="between 0 and 1"):
        FastDropout(1.5)


# Normalisation, ReLU and pooling as one.

N_CHANNELS = 6


def plain(maps, norm):
    return max_pool2d(norm(maps).relu(), 2)


def make_norm(weight=None):
    """Float64 normalisation with random weights of both signs, or the given ones."""
    generator = torch.Generator().manual_seed(1)
    norm = nn.BatchNorm2d(N_CHANNELS).double()
    with torch.no_grad():
        drawn = torch.randn(N_CHANNELS, generator=generator, dtype=torch.float64)
        norm.weight.copy_(drawn if weight is None else weight)
        norm.bias.copy_(torch.randn(N_CHANNELS, generator=generator) / 2)
        norm.running_mean.copy_(torch.randn(N_CHANNELS, generator=generator))
        norm.running_var.copy_(torch.rand(N_CHANNELS, generator=generator) + 0.5)
    return norm


def make_maps(*shape):
    generator = torch.Generator().manual_seed(2)
    scale = torch.linspace(0.1, 4, N_CHANNELS, dtype=torch.float64)[:, None, None]
    return torch.randn(shape, generator=generator, dtype=torch.float64) * scale + 1


def run(function, maps, norm):
    """Output and all gradients of a random weighted sum of it, with the state after."""
    maps = maps.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    norm.zero_grad()
    out = function(maps, norm)
    generator = torch.Generator().manual_seed(3)
    share = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    (out * share.to(out.dtype)).sum().backward()
    return {
        "out": out.detach(),
        "maps": maps.grad,
        "weight": norm.weight.grad,
        "bias": norm.bias.grad,
        **{name: buffer.double() for name, buffer in norm.named_buffers()},
    }


def assert_equal_runs(maps, weight=None, without=(), atol=1e-12):
    actual = run(norm_relu_pool, maps, make_norm(weight))
    expected = run(plain, maps, make_norm(weight))
    for name in expected.keys() - set(without):
        torch.testing.assert_close(
            actual[name], expected[name], rtol=0, atol=atol, msg=lambda text, n=name: f"{n}: {text}"
        )


@pytest.mark.parametrize(
    "shape",
    [
        (4, N_CHANNELS, 8, 12),
        (3, N_CHANNELS, 7, 12),  # the last mel band is not pooled, yet counts in the statistics
        (3, N_CHANNELS, 8, 11),
        (2, N_CHANNELS, 5, 3),
        (1, N_CHANNELS, 8, 6),
        (1, N_CHANNELS, 2, 2),
    ],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_equals_the_three_modules(shape, layout):
    assert_equal_runs(make_maps(*shape).contiguous(memory_format=layout))


def test_equals_them_again_after_many_steps():
    ours, theirs = make_norm(), make_norm()
    for step in range(3):
        maps = make_maps(2, N_CHANNELS, 4, 6) * (step + 1) + step
        actual, expected = run(norm_relu_pool, maps, ours), run(plain, maps, theirs)
        for name, value in expected.items():
            torch.testing.assert_close(actual[name], value, rtol=0, atol=1e-12)
    assert ours.num_batches_tracked == 3


def test_running_statistics_by_hand():
    norm = nn.BatchNorm2d(1).double()
    maps = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]], dtype=torch.float64)
    out = norm_relu_pool(maps, norm)
    # Mean 3, squares 4 + 1 + 0 + 9 = 14: over 4 to normalise, over 3 to keep; momentum 0.1.
    assert out.item() == pytest.approx(3 / (14 / 4 + 1e-5) ** 0.5, abs=1e-12)
    assert norm.running_mean.item() == pytest.approx(0.3, abs=1e-12)
    assert norm.running_var.item() == pytest.approx(0.9 + 0.1 * 14 / 3, abs=1e-12)
    assert norm.num_batches_tracked == 1


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_weights_of_one_sign(sign):
    weight = sign * torch.linspace(0.2, 2, N_CHANNELS, dtype=torch.float64)
    assert_equal_runs(make_maps(3, N_CHANNELS, 8, 6), weight)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_ties_go_to_the_first(sign):
    # Whole numbers of five values: most windows have their extreme twice or more.
    maps = make_maps(3, N_CHANNELS, 8, 6).round().clamp(-1, 3)
    assert_equal_runs(maps, torch.full((N_CHANNELS,), sign))


def test_a_channel_without_variance():
    maps = make_maps(3, N_CHANNELS, 8, 6)
    maps[:, 2] = 0.25
    assert_equal_runs(maps, atol=1e-10)


def test_dead_channels_take_no_gradient():
    norm = make_norm()
    with torch.no_grad():
        norm.bias.fill_(-100)
    gradients = run(norm_relu_pool, make_maps(2, N_CHANNELS, 4, 4), norm)
    for name in ("out", "maps", "weight", "bias"):
        assert gradients[name].count_nonzero() == 0


def test_zero_weight_gives_a_constant_and_a_one_sided_gradient():
    # relu(0 x + b) is the same everywhere. The plain modules then follow the first value of each
    # window, a slope of neither side; here it is that of a weight that grows from 0: the maximum.
    weight = torch.linspace(-1, 1.5, N_CHANNELS, dtype=torch.float64)
    weight[2], weight[3] = 0.0, -0.0
    maps = make_maps(2, N_CHANNELS, 4, 6)
    assert_equal_runs(maps, weight, without=["weight"])

    def loss(shift):
        norm = make_norm(weight)
        with torch.no_grad():
            norm.bias.fill_(0.5)
            norm.weight[2:4] += shift
        return norm, norm_relu_pool(maps, norm)[:, 2:4].sum()

    norm, at_zero = loss(0.0)
    at_zero.backward()
    assert at_zero.item() == pytest.approx(0.5 * 2 * 2 * 6, abs=1e-9)
    slope = (loss(1e-6)[1] - at_zero) / 1e-6
    assert norm.weight.grad[2:4].sum().item() == pytest.approx(slope.item(), abs=1e-5)


def test_gradients_by_finite_differences():
    def function(maps, weight, bias):
        norm = make_norm()
        del norm.weight, norm.bias
        norm.weight, norm.bias = weight, bias
        return norm_relu_pool(maps, norm)

    # Far from kinks: values 0.1 apart in random order.
    order = torch.randperm(2 * N_CHANNELS * 8, generator=torch.Generator().manual_seed(0))
    maps = (order.double() / 10).reshape(2, N_CHANNELS, 2, 4)
    norm = make_norm()
    inputs = [tensor.detach().requires_grad_() for tensor in (maps, norm.weight, norm.bias)]
    assert torch.autograd.gradcheck(function, inputs, eps=1e-6, atol=1e-6)


def test_second_gradients_are_refused_not_wrong():
    maps = make_maps(2, N_CHANNELS, 4, 4).requires_grad_()
    (gradient,) = torch.autograd.grad(
        norm_relu_pool(maps, make_norm()).square().sum(), maps, create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_keeps_channels_last():
    maps = make_maps(2, N_CHANNELS, 8, 6).contiguous(memory_format=torch.channels_last)
    maps.requires_grad_()
    out = norm_relu_pool(maps, make_norm())
    out.square().sum().backward()
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert maps.grad.is_contiguous(memory_format=torch.channels_last)


def test_leaves_its_input():
    maps = make_maps(2, N_CHANNELS, 4, 4).requires_grad_()
    before = maps.detach().clone()
    norm_relu_pool(maps, make_norm()).sum().backward()
    assert torch.equal(maps, before)


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
