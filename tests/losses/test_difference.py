import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from byola_diff.losses.difference import mix_with_neighbour, neighbour, subtract_neighbour
from tests.helpers import normal_noise

RATES = torch.tensor([0.4, 0.5, 0.6])


def constant_views(*powers):
    """Views of one mel band and one frame, with the given powers."""
    return torch.tensor(powers).log().reshape(-1, 1, 1, 1)


def test_neighbour_is_the_next_and_the_last_wraps_around():
    assert neighbour(torch.tensor([[1.0], [2.0], [3.0]])).tolist() == [[2.0], [3.0], [1.0]]


def test_mixture_by_hand():
    mixture = mix_with_neighbour(constant_views(1.0, 10.0, 100.0), RATES)
    # The neighbour carries the rate, the view itself what is left; the last mixes with the first.
    powers = [0.6 * 1 + 0.4 * 10, 0.5 * 10 + 0.5 * 100, 0.4 * 100 + 0.6 * 1]
    expected = torch.tensor([math.log(power) for power in powers])
    torch.testing.assert_close(mixture.flatten(), expected, rtol=0, atol=1e-6)


def test_subtraction_by_hand():
    mixture = torch.tensor([[10.0, 1.0], [20.0, 2.0], [30.0, 3.0]])
    representation = torch.tensor([[1.0, -1.0], [2.0, -2.0], [4.0, -4.0]])
    remaining = subtract_neighbour(mixture, representation, RATES)
    expected = [[10 - 0.4 * 2, 1 + 0.4 * 2], [20 - 0.5 * 4, 2 + 0.5 * 4], [30 - 0.6, 3 + 0.6]]
    torch.testing.assert_close(remaining, torch.tensor(expected), rtol=0, atol=1e-6)


def test_an_encoder_linear_in_power_is_left_with_the_own_sound():
    # f = exp: then f(w_n) - g_n f(v_{n+1}) = (1 - g_n) f(v_n), for the same n and the same rates.
    generator = torch.Generator().manual_seed(0)
    view = torch.randn(5, 1, 4, 6, generator=generator)
    rate = 0.4 + 0.2 * torch.rand(5, generator=generator)

    def represent(log_mel):
        return log_mel.exp().flatten(1)

    remaining = subtract_neighbour(represent(mix_with_neighbour(view, rate)), represent(view), rate)
    expected = (1 - rate[:, None]) * represent(view)
    torch.testing.assert_close(remaining, expected, rtol=0, atol=1e-5)


def test_order_of_the_batch_matters_only_around_the_ring():
    view = normal_noise(4, 1, 3, 2)
    rate = torch.tensor([0.4, 0.45, 0.5, 0.6])
    rolled = mix_with_neighbour(view.roll(1, 0), rate.roll(1, 0))
    # Rows of another place may be summed in another order.
    expected = mix_with_neighbour(view, rate).roll(1, 0)
    torch.testing.assert_close(rolled, expected, rtol=0, atol=1e-6)


def test_gradient_flows_to_mixture_and_to_the_neighbours_representation():
    mixture, representation = (torch.zeros(3, 2, requires_grad=True) for _ in range(2))
    remaining = subtract_neighbour(mixture, representation, RATES)
    remaining[0].sum().backward()
    assert mixture.grad.tolist() == [[1, 1], [0, 0], [0, 0]]
    expected = torch.tensor([[0.0, 0.0], [-0.4, -0.4], [0.0, 0.0]])
    torch.testing.assert_close(representation.grad, expected, rtol=0, atol=1e-7)


def test_refuses_a_batch_of_one():
    with pytest.raises(ValueError, match="at least 2 clips"):
        mix_with_neighbour(torch.zeros(1, 1, 4, 4), torch.tensor([0.5]))


@settings(max_examples=50, deadline=None)
@given(
    n_clips=st.integers(2, 6),
    seed=st.integers(0, 2**32),
    spread=st.floats(0.1, 20),
    level=st.floats(-100, 100),
)
def test_a_mixture_lies_between_its_two_sounds_at_any_level(n_clips, seed, spread, level):
    view = spread * normal_noise(n_clips, 1, 3, 4, seed=seed)
    rate = torch.rand(n_clips, generator=torch.Generator().manual_seed(seed))
    mixture = mix_with_neighbour(view, rate)
    two = torch.stack([view, neighbour(view)])
    assert (mixture >= two.amin(0) - 1e-4).all()
    assert (mixture <= two.amax(0) + 1e-4).all()
    # Louder sounds give the same mixture, as much louder.
    torch.testing.assert_close(
        mix_with_neighbour(view + level, rate), mixture + level, rtol=0, atol=1e-3
    )


@settings(max_examples=50, deadline=None)
@given(n_clips=st.integers(2, 6), seed=st.integers(0, 2**32), scale=st.floats(-100, 100))
def test_subtraction_is_linear_and_undone_by_addition(n_clips, seed, scale):
    mixture, representation = normal_noise(2, n_clips, 5, seed=seed)
    rate = torch.rand(n_clips, generator=torch.Generator().manual_seed(seed))
    remaining = subtract_neighbour(mixture, representation, rate)
    again = remaining + rate[:, None] * neighbour(representation)
    torch.testing.assert_close(again, mixture, rtol=0, atol=1e-5)
    scaled = subtract_neighbour(scale * mixture, scale * representation, rate)
    torch.testing.assert_close(scaled, scale * remaining, rtol=0, atol=1e-3)
