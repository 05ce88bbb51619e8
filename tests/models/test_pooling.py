import pytest
import torch

from byola_diff.models.kernels import Kernels
from byola_diff.models.pooling import mean_max_pool, mean_max_pool_float32, pool
from tests.helpers import needs_compiler


def test_by_hand():
    frames = torch.tensor([[[1.0, -2.0], [3.0, -4.0]], [[0.0, 0.0], [0.0, 6.0]]])
    # Means 2, -3 and 0, 3; maxima 3, -2 and 0, 6.
    assert mean_max_pool(frames).tolist() == [[5.0, -5.0], [0.0, 9.0]]


def test_one_frame_is_doubled():
    frames = torch.tensor([[[1.5, -2.0]]])
    assert mean_max_pool(frames).tolist() == [[3.0, -4.0]]


def test_order_of_frames_does_not_matter():
    frames = torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(mean_max_pool(frames.flip(1)), mean_max_pool(frames))


def test_is_not_linear():
    first, second = torch.tensor([[[0.0], [2.0]]]), torch.tensor([[[2.0], [0.0]]])
    # Pooled 3 each, so their difference is 0; the frames' differences -2, 2 pool to 2.
    assert (mean_max_pool(first) - mean_max_pool(second)).item() == 0
    assert mean_max_pool(first - second).item() == 2


def test_pool_by_hand():
    frames = torch.tensor([[[1.0, -1.0], [3.0, 0.0]]])
    assert pool(frames, "mean").tolist() == [[2.0, -0.5]]
    assert pool(frames, "mean+max").tolist() == [[5.0, -0.5]]
    assert pool(frames[:, :1], "first").tolist() == [[1.0, -1.0]]
    with pytest.raises(ValueError, match="2 frames need pooling"):
        pool(frames, "first")


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 24, 50), (1, 1, 1), (2, 256, 5), (2, 257, 5)])
def test_one_pass_equals_the_operations(dtype, shape):
    # Whole numbers, one of which is the largest: nothing is rounded, nothing ties.
    order = torch.rand(shape, generator=torch.Generator().manual_seed(0)).argsort(1)
    frames = (order - shape[1] // 2).to(dtype).requires_grad_()
    expected_of = frames.detach().double().requires_grad_()
    out, expected = mean_max_pool_float32(frames), mean_max_pool(expected_of)
    share = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    out.backward(share)
    expected.backward(share.double())
    assert out.dtype == torch.float32
    assert frames.grad.dtype == dtype
    torch.testing.assert_close(out.double(), expected, rtol=1e-6, atol=1e-5)
    rtol = 1e-6 if dtype == torch.float32 else 2**-8
    torch.testing.assert_close(frames.grad.double(), expected_of.grad, rtol=rtol, atol=1e-7)


@pytest.mark.parametrize("is_compiled", [pytest.param(True, marks=needs_compiler), False])
def test_the_first_of_equal_frames_takes_the_gradient(is_compiled, monkeypatch):
    if not is_compiled:
        monkeypatch.setattr(Kernels, "of", lambda values: None)
    frames = torch.tensor([[[1.0], [4.0], [4.0], [3.0]]], requires_grad=True)
    mean_max_pool_float32(frames).sum().backward()
    assert frames.grad.flatten().tolist() == [0.25, 1.25, 0.25, 0.25]


@needs_compiler
def test_one_pass_does_not_hide_what_is_not_finite():
    frames = torch.zeros(1, 5, 3)
    frames[0, 2, 1] = float("nan")
    assert mean_max_pool_float32(frames).isnan().tolist() == [[False, True, False]]


def test_frames_in_another_layout_are_pooled_too():
    frames = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)).transpose(1, 2)
    torch.testing.assert_close(mean_max_pool_float32(frames), mean_max_pool(frames))


@needs_compiler
def test_the_layout_of_the_gradient_of_one_pass_does_not_matter():
    frames = torch.tensor([[[1.0, 2.0], [3.0, 0.0]], [[5.0, 6.0], [7.0, 9.0]]], requires_grad=True)
    share = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    mean_max_pool_float32(frames).backward(share.T.contiguous().T)
    expected = [[[0.5, 3.0], [1.5, 1.0]], [[1.5, 2.0], [4.5, 6.0]]]
    assert frames.grad.tolist() == expected
