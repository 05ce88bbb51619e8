"""Frames of several encoders in one shape and as one; means over parts of a clip."""

import numpy as np
import pytest
import torch

from byola_diff.encoders.combine import combined, group_means, resize_time, resize_width
from tests.encoders.resized import resized_in_numpy


def test_members_put_together_by_hand():
    h, w, c = (torch.tensor([[[0.0, 3], [6, 9]]]) + member for member in range(3))
    expected = {
        "interleave": [[[0.0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]],
        "concat": [[[0.0, 3, 1, 4, 2, 5], [6, 9, 7, 10, 8, 11]]],
        "average": [[[1.0, 4], [7, 10]]],
    }
    for combine, values in expected.items():
        torch.testing.assert_close(combined([h, w, c], combine), torch.tensor(values))


def test_resize_by_hand():
    frames = torch.tensor([[[0.0, 4.0], [8.0, 8.0]]])
    # Four cells over two: centres at -0.25, 0.25, 0.75 and 1.25 of the old ones, edges held.
    torch.testing.assert_close(
        resize_width(frames, 4), torch.tensor([[[0.0, 1, 3, 4], [8, 8, 8, 8]]])
    )
    torch.testing.assert_close(
        resize_time(frames, 4), torch.tensor([[[0.0, 4], [2, 5], [6, 7], [8, 8]]])
    )


@pytest.mark.parametrize(("old", "new"), [(1280, 1024), (2048, 1024), (21, 49), (1, 5), (7, 7)])
def test_resize_equals_a_transcription(old, new):
    frames = torch.rand(2, 3, old, generator=torch.Generator().manual_seed(0))
    expected = resized_in_numpy(frames.numpy(), new)
    np.testing.assert_allclose(resize_width(frames, new).numpy(), expected, atol=1e-5)
    by_time = resize_time(frames.transpose(1, 2), new).transpose(1, 2)
    np.testing.assert_allclose(by_time.numpy(), expected, atol=1e-5)


def test_means_of_stretches_drop_the_tail():
    frames = torch.tensor([[[1.0], [3], [5], [9], [0], [2], [99]]])
    torch.testing.assert_close(group_means(frames, 3), torch.tensor([[2.0, 7, 1]]))
    torch.testing.assert_close(group_means(frames, 1), frames.mean(dim=1))
    pairs = torch.tensor([[[1.0, 10], [3, 30]]])
    torch.testing.assert_close(group_means(pairs, 2), torch.tensor([[1.0, 10, 3, 30]]))


def test_fewer_frames_than_stretches_are_shared():
    frames = torch.tensor([[[1.0], [2]]])
    torch.testing.assert_close(group_means(frames, 5), torch.tensor([[1.0, 1, 1, 2, 2]]))
    torch.testing.assert_close(group_means(frames[:, :1], 3), torch.ones(1, 3))
