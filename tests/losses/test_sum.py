import pytest
import torch

from byola_diff.losses.sum import uncorrelated_loss, weighted_sum
from tests.helpers import normal_noise


def test_sum_by_hand():
    representation = torch.tensor([[1.0, -1.0], [2.0, -2.0], [4.0, -4.0]])
    rates = torch.tensor([0.4, 0.5, 0.6])
    # The neighbour carries the rate; the last neighbours the first.
    expected = [0.4 * 2 + 0.6 * 1, 0.5 * 4 + 0.5 * 2, 0.6 * 1 + 0.4 * 4]
    found = weighted_sum(representation, rates)
    torch.testing.assert_close(found[:, 0], torch.tensor(expected), rtol=0, atol=1e-6)
    torch.testing.assert_close(found[:, 1], -torch.tensor(expected), rtol=0, atol=1e-6)


def test_loss_by_hand():
    # One dimension alike (r = 1), one reversed (r = -1), one half so (r = 1 / 2).
    found = torch.tensor([[1.0, 1.0, 0.0], [2.0, 2.0, 2.0], [3.0, 3.0, 1.0]])
    wanted = torch.tensor([[10.0, 3.0, 0.0], [20.0, 2.0, 1.0], [30.0, 1.0, 2.0]])
    expected = (0 + 4 + 1) / 3
    assert uncorrelated_loss(found, wanted).item() == pytest.approx(expected, abs=1e-5)


def test_scale_and_mean_of_a_dimension_do_not_count():
    found, wanted = normal_noise(8, 5, seed=1), normal_noise(8, 5, seed=2)
    scale, shift = torch.tensor([1.0, 2.0, 10.0, 0.5, 3.0]), torch.arange(5.0)
    expected = uncorrelated_loss(found, wanted)
    torch.testing.assert_close(uncorrelated_loss(found * scale + shift, wanted), expected)
    torch.testing.assert_close(uncorrelated_loss(found, wanted * scale + shift), expected)


def test_a_constant_dimension_counts_as_uncorrelated_and_sends_back_no_nan():
    found = torch.ones(6, 2, requires_grad=True)
    loss = uncorrelated_loss(found, normal_noise(6, 2, seed=3))
    assert loss.item() == pytest.approx(2, abs=1e-6)
    [gradient] = torch.autograd.grad(loss, found)
    assert gradient.isfinite().all()


def test_no_gradient_reaches_what_is_wanted():
    found = normal_noise(6, 3, seed=0).requires_grad_()
    wanted = normal_noise(6, 3, seed=1).requires_grad_()
    uncorrelated_loss(found, wanted).backward()
    assert found.grad is not None
    assert wanted.grad is None
