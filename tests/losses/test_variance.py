import pytest
import torch

from byola_diff.losses.variance import variance_covariance_loss
from tests.helpers import normal_noise


def test_by_hand():
    # Deviations of 2 and 1/2, covariance of 2 * 1/2 = 1 for two dimensions that move together.
    one = torch.tensor([-1.0, 0.0, 1.0])
    projection = torch.stack([2 * one, one / 2], dim=1)
    hinge = (0 + (1 - 0.5)) / 2
    covariance = 2 * 1**2 / 2  # both off-diagonal places, over the number of dimensions
    found = variance_covariance_loss(projection).item()
    assert found == pytest.approx(hinge + covariance / 25, abs=1e-3)


def test_collapse_costs_one_and_still_has_a_gradient():
    projection = (torch.ones(5, 3) + 1e-4 * normal_noise(5, 3, seed=0)).requires_grad_()
    loss = variance_covariance_loss(projection)
    assert loss.item() == pytest.approx(1, abs=0.02)
    loss.backward()
    assert projection.grad.abs().sum() > 0


def test_uncorrelated_unit_variance_costs_little():
    assert variance_covariance_loss(normal_noise(4000, 4, seed=0)).item() < 0.03


def test_autocast_rounds_nothing():
    projection = 1 + normal_noise(64, 16, seed=1)
    expected = variance_covariance_loss(projection)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(variance_covariance_loss(projection), expected)
