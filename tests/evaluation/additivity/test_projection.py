import numpy as np
import pytest
import torch

from byola_diff.evaluation.additivity.projection import (
    Projection,
    labels_to_show,
    project,
    projection_figure,
)


def test_projection_by_hand():
    # Unit movements along the second axis and, fewer, along the first one. Lengths do not count.
    zero = torch.zeros(6, 3)
    units = [[0, 1, 0], [0, -1, 0], [0, 1, 0], [0, -1, 0], [1, 0, 0], [-1, 0, 0]]
    lengths = torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]])
    moved = lengths * torch.tensor(units, dtype=torch.float32)
    shown = project((zero, moved, zero, 2 * moved), list("abcdef"))
    expected = [[1, 0], [-1, 0], [1, 0], [-1, 0], [0, 1], [0, -1]]
    np.testing.assert_allclose(shown.first, expected, atol=1e-6)
    np.testing.assert_allclose(shown.second, expected, atol=1e-6)
    assert shown.shares == pytest.approx((4 / 6, 2 / 6))


def test_projection_leaves_out_what_is_common_to_all_events():
    zero, half = torch.zeros(2, 2), 0.5**0.5
    moved = torch.tensor([[1.0, 1.0], [1.0, -1.0]])  # unit length: (half, half), (half, -half)
    shown = project((zero, moved, zero, moved), ["a", "b"])
    np.testing.assert_allclose(shown.first, [[half, 0], [-half, 0]], atol=1e-6)
    assert shown.shares == pytest.approx((1, 0))


def test_projection_of_an_encoder_that_ignores_its_input():
    same = torch.ones(3, 1)
    shown = project((same, same, same, same), ["a", "b", "c"])
    assert not shown.first.any()
    assert shown.shares == (0, 0)


def test_labels_with_the_most_events_are_shown():
    assert labels_to_show(list("aabbbcdd"), limit=2) == ["b", "a"]
    assert labels_to_show(list("ba")) == ["a", "b"]


def test_projection_figure():
    pytest.importorskip("matplotlib")
    points, labels = np.arange(24.0).reshape(12, 2), tuple(f"label {n % 11}" for n in range(12))
    projection = Projection(points, points + 1, labels, (0.5, 0.2))
    png = projection_figure(projection, labels_to_show(labels))
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(png) > 5000
