import pytest
import torch
from torch import nn
from torch.nn.functional import max_pool2d

from byola_diff.models.norm_relu_pool import norm_relu_pool
from tests.helpers import HAS_COMPILER, needs_compiler

N_CHANNELS = 6


def plain(maps, norm):
    return max_pool2d(norm(maps).relu(), 2)


def make_norm(weight=None, dtype=torch.float64):
    """Normalisation with random weights of both signs, or the given ones.

    In float64, or in float32 for maps of the type.
    """
    generator = torch.Generator().manual_seed(1)
    norm = nn.BatchNorm2d(N_CHANNELS).double()
    if dtype != torch.float64:
        norm = norm.float()
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


def channels_last(*shape):
    return make_maps(*shape).contiguous(memory_format=torch.channels_last)


def run(function, maps, norm, dtype=None):
    """Output and all gradients of a random weighted sum of it, with the state after.

    The gradient that is sent back is rounded to the type, or to that of the output.
    """
    maps = maps.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    norm.zero_grad()
    out = function(maps, norm)
    generator = torch.Generator().manual_seed(3)
    share = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    out.backward(share.to(dtype or out.dtype).to(out.dtype))
    return {
        "out": out.detach(),
        "maps": maps.grad,
        "weight": norm.weight.grad,
        "bias": norm.bias.grad,
        **{name: buffer.double() for name, buffer in norm.named_buffers()},
    }


# Of the compiled passes: their arithmetic is in float32, and results are rounded to their type.
TOLERANCES = {
    torch.float32: {"rtol": 1e-5, "atol": 3e-5},
    torch.bfloat16: {"rtol": 2**-8, "atol": 3e-4},
}


def assert_equal_runs(maps, weight=None, without=(), atol=1e-12):
    """Of PyTorch's operations in float64, and of the compiled passes in what they compute."""
    cases = {torch.float64: {"rtol": 0, "atol": atol}}
    if HAS_COMPILER and maps.is_contiguous(memory_format=torch.channels_last):
        cases |= TOLERANCES
    for dtype, tolerance in cases.items():
        rounded = maps.to(dtype)
        actual = run(norm_relu_pool, rounded, make_norm(weight, dtype))
        expected = run(plain, rounded.double(), make_norm(weight), dtype)
        for name in expected.keys() - set(without):
            torch.testing.assert_close(
                actual[name].double(),
                expected[name],
                **tolerance,
                msg=lambda text, n=name, d=dtype: f"{d}, {n}: {text}",
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
    assert_equal_runs(channels_last(3, N_CHANNELS, 8, 6), weight)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_ties_go_to_the_first(sign):
    # Whole numbers of five values: most windows have their extreme twice or more.
    maps = channels_last(3, N_CHANNELS, 8, 6).round().clamp(-1, 3)
    assert_equal_runs(maps, torch.full((N_CHANNELS,), sign))


def test_a_channel_without_variance():
    maps = channels_last(3, N_CHANNELS, 8, 6)
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
    maps = channels_last(2, N_CHANNELS, 4, 6)
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


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_compiled_results_do_not_depend_on_the_number_of_threads(dtype):
    maps = channels_last(5, N_CHANNELS, 8, 6).to(dtype)
    runs, before = [], torch.get_num_threads()
    for n_threads in (1, 2, 3):
        torch.set_num_threads(n_threads)
        runs.append(run(norm_relu_pool, maps, make_norm(dtype=dtype)))
    torch.set_num_threads(before)
    for other in runs[1:]:
        for name, value in runs[0].items():
            assert torch.equal(other[name], value), name


@needs_compiler
def test_compiled_statistics_of_values_far_from_zero():
    maps = (channels_last(4, N_CHANNELS, 8, 6) + 1000).float()
    norm = make_norm(dtype=torch.float32)
    norm.momentum = 1.0
    norm_relu_pool(maps, norm)
    variance, mean = torch.var_mean(maps.double(), (0, 2, 3))
    torch.testing.assert_close(norm.running_mean.double(), mean, rtol=1e-7, atol=0)
    torch.testing.assert_close(norm.running_var.double(), variance, rtol=1e-5, atol=0)


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_not_hidden(dtype, value):
    maps = channels_last(2, N_CHANNELS, 4, 4).to(dtype)
    maps[1, 3, 2, 2] = value
    out = norm_relu_pool(maps, make_norm(dtype=dtype))
    assert out[:, 3].isnan().all()
    assert out[:, :3].isfinite().all()


@needs_compiler
def test_running_statistics_can_be_held():
    maps, norm = channels_last(2, N_CHANNELS, 4, 4).float(), make_norm(dtype=torch.float32)
    before = {name: buffer.clone() for name, buffer in norm.named_buffers()}
    norm.track_running_stats = False
    norm_relu_pool(maps, norm)
    for name, buffer in norm.named_buffers():
        assert torch.equal(buffer, before[name])


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_layout_of_the_gradient_does_not_matter(dtype):
    maps, gradients = channels_last(2, N_CHANNELS, 4, 6).to(dtype), []
    share = torch.randn(2, N_CHANNELS, 2, 3, generator=torch.Generator().manual_seed(4)).to(dtype)
    for layout in (torch.contiguous_format, torch.channels_last):
        inputs = maps.clone(memory_format=torch.preserve_format).requires_grad_()
        out = norm_relu_pool(inputs, make_norm(dtype=dtype))
        out.backward(share.contiguous(memory_format=layout))
        gradients.append(inputs.grad)
    assert torch.equal(*gradients)


@pytest.mark.parametrize("shape", [(2, 1, 4), (2, 4, 1), (1, 1, 1)])
def test_maps_too_small_to_pool_are_refused(shape):
    n_clips, *size = shape
    with pytest.raises(ValueError, match="can't be pooled"):
        norm_relu_pool(channels_last(n_clips, N_CHANNELS, *size), make_norm())
