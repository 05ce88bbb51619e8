import pytest
import torch
from torch import nn
from torch.nn.functional import max_pool2d

from byola_diff.models.cnn import AudioNTT2020, AudioNTT2022
from byola_diff.models.norm_relu_pool import norm_relu_pool

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
