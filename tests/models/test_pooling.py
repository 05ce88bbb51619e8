import pytest
import torch

from byola_diff.models.pooling import mean_max_pool, pool


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
