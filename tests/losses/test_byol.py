import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from byola_diff.losses.byol import byol_loss
from tests.helpers import normal_noise


@pytest.mark.parametrize(
    ("degrees", "expected"), [(0, 0.0), (60, 1.0), (90, 2.0), (120, 3.0), (180, 4.0)]
)
def test_value_at_known_angle(degrees, expected):
    angle = math.radians(degrees)
    prediction = torch.tensor([[1.0, 0.0]])
    target = torch.tensor([[math.cos(angle), math.sin(angle)]])
    assert byol_loss(prediction, target).item() == pytest.approx(expected, abs=1e-6)


def test_mean_over_the_batch():
    prediction = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert byol_loss(prediction, target).item() == pytest.approx((0 + 2 + 4) / 3, abs=1e-6)


def test_is_the_squared_distance_of_unit_vectors():
    prediction, target = normal_noise(2, 8, 5)
    unit = [vector / vector.norm(dim=1, keepdim=True) for vector in (prediction, target)]
    expected = (unit[0] - unit[1]).square().sum(1).mean()
    torch.testing.assert_close(byol_loss(prediction, target), expected, rtol=0, atol=1e-6)


def test_length_does_not_matter():
    prediction, target = normal_noise(2, 8, 5)
    loss = byol_loss(prediction, target)
    scaled = byol_loss(1e3 * prediction, 1e-3 * target)
    torch.testing.assert_close(scaled, loss, rtol=0, atol=1e-6)


def test_gradient_by_hand():
    # d(2 - 2 cos) / d prediction = -2 (target - cos * prediction) for unit vectors.
    prediction = torch.tensor([[1.0, 0.0]], requires_grad=True)
    byol_loss(prediction, torch.tensor([[0.6, 0.8]])).backward()
    expected = torch.tensor([[0.0, -1.6]])
    torch.testing.assert_close(prediction.grad, expected, rtol=0, atol=1e-6)


def test_nothing_flows_to_the_target():
    prediction, target = (torch.ones(2, 3, requires_grad=True) for _ in range(2))
    byol_loss(prediction, target).backward()
    assert prediction.grad is not None
    assert target.grad is None


def test_zero_prediction_is_finite():
    prediction = torch.zeros(1, 3, requires_grad=True)
    loss = byol_loss(prediction, torch.ones(1, 3))
    loss.backward()
    assert loss.item() == 2
    assert prediction.grad.isfinite().all()


@settings(max_examples=50, deadline=None)
@given(
    n_clips=st.integers(1, 6),
    dim=st.integers(1, 20),
    seed=st.integers(0, 2**32),
    log_scales=st.tuples(st.floats(-4, 4), st.floats(-4, 4)),
)
def test_bounds_scale_and_sign(n_clips, dim, seed, log_scales):
    prediction, target = normal_noise(2, n_clips, dim, seed=seed)
    loss = byol_loss(prediction, target).item()
    assert -1e-5 <= loss <= 4 + 1e-5
    # Each clip has a length of its own.
    lengths = 10 ** torch.linspace(*log_scales, n_clips)[:, None]
    scaled = byol_loss(lengths * prediction, target / lengths).item()
    assert scaled == pytest.approx(loss, abs=1e-4)
    assert byol_loss(-prediction, target).item() == pytest.approx(4 - loss, abs=1e-5)
    assert byol_loss(target, prediction).item() == pytest.approx(loss, abs=1e-5)
    assert byol_loss(target, target).item() == pytest.approx(0, abs=1e-5)
