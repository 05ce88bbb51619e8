import math

import pytest
import torch

from byola_diff.audio.log_mix import log_mix

LOG_2, LOG_3 = math.log(2), math.log(3)


@pytest.mark.parametrize(
    ("first", "second", "share", "expected"),
    [
        (0.0, LOG_3, 0.5, LOG_2),  # (1 + 3) / 2
        (0.0, LOG_3, 0.25, math.log(1.5)),  # 3/4 * 1 + 1/4 * 3: the share is that of the second
        (LOG_3, 0.0, 0.25, math.log(2.5)),
        (LOG_2, LOG_2, 0.3, LOG_2),
        (LOG_2, LOG_3, 0.0, LOG_2),
        (LOG_2, LOG_3, 1.0, LOG_3),
    ],
)
def test_by_hand(first, second, share, expected):
    out = log_mix(torch.tensor([first]), torch.tensor([second]), torch.tensor([share]))
    assert out.item() == pytest.approx(expected, abs=1e-6)


def test_each_example_has_its_share():
    first, second = torch.zeros(3, 1, 2, 2), torch.full((3, 1, 2, 2), LOG_3)
    out = log_mix(first, second, torch.tensor([0.0, 0.5, 1.0]))
    for example, power in enumerate([1.0, 2.0, 3.0]):
        expected = torch.full((1, 2, 2), math.log(power))
        torch.testing.assert_close(out[example], expected, rtol=0, atol=1e-6)


def test_equals_the_logarithm_of_the_mixed_powers():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 5, 1, 8, 6, generator=generator, dtype=torch.float64) * 3
    share = torch.rand(5, generator=generator, dtype=torch.float64)
    column = share[:, None, None, None]
    expected = ((1 - column) * first.exp() + column * second.exp()).log()
    torch.testing.assert_close(log_mix(first, second, share), expected, rtol=0, atol=1e-12)


def test_does_not_overflow_where_exp_would():
    high, low = torch.tensor([1000.0, -1000.0]), torch.tensor([-1000.0, 1000.0])
    out = log_mix(high, low, torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(out, torch.full((2,), 1000 - LOG_2), rtol=0, atol=1e-4)
    assert log_mix(-high.abs(), -low.abs(), torch.full((2,), 0.4)).tolist() == [-1000, -1000]


def test_share_0_and_1_give_back_the_bits():
    first, second = torch.randn(2, 64, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(log_mix(first, second, torch.zeros(64)), first)
    assert torch.equal(log_mix(first, second, torch.ones(64)), second)


def test_a_constant_added_to_both_is_added_to_the_mixture():
    first, second = torch.randn(2, 4, 9, generator=torch.Generator().manual_seed(1))
    share = torch.tensor([0.1, 0.4, 0.6, 0.9])
    shifted = log_mix(first + 5, second + 5, share)
    torch.testing.assert_close(shifted, log_mix(first, second, share) + 5, rtol=0, atol=2e-6)


def test_gradient_is_each_sounds_part_of_the_power():
    first = torch.tensor([0.0], requires_grad=True)
    second = torch.tensor([LOG_3], requires_grad=True)
    log_mix(first, second, torch.tensor([0.25])).sum().backward()
    # Of 0.75 * 1 + 0.25 * 3 = 1.5, both give a half.
    assert first.grad.item() == pytest.approx(0.5, abs=1e-6)
    assert second.grad.item() == pytest.approx(0.5, abs=1e-6)


def test_gradient_is_finite_at_share_0():
    first, second = torch.zeros(2, 3, requires_grad=True), torch.ones(2, 3, requires_grad=True)
    log_mix(first, second, torch.zeros(2)).sum().backward()
    assert torch.equal(first.grad, torch.ones(2, 3))
    assert torch.equal(second.grad, torch.zeros(2, 3))


def test_empty_batch():
    assert log_mix(torch.zeros(0, 1, 4, 5), torch.zeros(0, 1, 4, 5), torch.zeros(0)).shape[0] == 0
