import pytest
import torch
from torch.nn.functional import dropout

from byola_diff.models import dropout as dropout_module
from byola_diff.models.dropout import FastDropout
from tests.helpers import needs_compiler


@pytest.mark.parametrize("p", [0.3, 0.5, 0.01])
def test_share_of_zeros_and_mean(p):
    torch.manual_seed(0)
    out = FastDropout(p)(torch.ones(1_000_000))
    deviation = (p * (1 - p) / 1e6) ** 0.5
    assert (out == 0).double().mean().item() == pytest.approx(p, abs=5 * deviation)
    # A kept value is 1 / (1 - p), so the deviation of the mean is that of the share over 1 - p.
    assert out.double().mean().item() == pytest.approx(1, abs=5 * deviation / (1 - p))
    kept = out[out != 0]
    assert len(kept.unique()) == 1
    # The probability is rounded to 1/65536, the scale with it.
    assert kept[0].item() == pytest.approx(1 / (1 - p), abs=2e-5 / (1 - p) ** 2)


def test_mean_is_kept_by_the_rounded_probability_exactly():
    # 0.3 of 65536 values is 19661: those are dropped, and the scale belongs to the same number.
    torch.manual_seed(0)
    out = FastDropout(0.3)(torch.ones(64))
    assert out.amax().item() == pytest.approx(65536 / (65536 - 19661), abs=1e-7)


def test_neighbouring_values_are_independent():
    # Four values share a 64-bit draw: each place of the four, and each pair of places.
    torch.manual_seed(0)
    zeros = (FastDropout(0.3)(torch.ones(250_000, 4)) == 0).double()
    assert ((zeros.mean(0) - 0.3).abs() < 5 * (0.21 / 250_000) ** 0.5).all()
    correlation = torch.corrcoef(zeros.T) - torch.eye(4)
    assert correlation.abs().max() < 5 / 250_000**0.5


def test_mask_is_new_at_each_call_and_repeats_under_a_seed():
    layer, values = FastDropout(0.3), torch.ones(1000)
    torch.manual_seed(0)
    first, second = layer(values), layer(values)
    torch.manual_seed(0)
    assert torch.equal(layer(values), first)
    assert 300 < (first != second).sum() < 540  # 2 * 0.3 * 0.7 of 1000, and some


def test_eval_is_the_identity_and_draws_nothing():
    layer = FastDropout(0.3).eval()
    values = torch.randn(7, generator=torch.Generator().manual_seed(0))
    state = torch.get_rng_state()
    assert torch.equal(layer(values), values)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("shape", [(), (1,), (2,), (3,), (5,), (0,), (3, 7), (2, 1, 3, 5)])
def test_any_size(shape):
    torch.manual_seed(0)
    out = FastDropout(0.5)(torch.ones(shape))
    assert out.shape == shape
    assert ((out == 0) | (out == 2)).all()


def test_gradient_is_the_mask_over_the_kept_share():
    torch.manual_seed(0)
    values = torch.full((1000,), 3.0, requires_grad=True)
    out = FastDropout(0.3)(values)
    out.sum().backward()
    torch.testing.assert_close(values.grad, out.detach() / 3, rtol=0, atol=1e-6)


def test_keeps_bfloat16():
    torch.manual_seed(0)
    out = FastDropout(0.5)(torch.ones(100, dtype=torch.bfloat16))
    assert out.dtype == torch.bfloat16
    assert set(out.tolist()) == {0.0, 2.0}


def test_follows_a_layout_with_swapped_axes():
    torch.manual_seed(0)
    values = torch.arange(1.0, 16).reshape(3, 5).T
    out = FastDropout(0.5)(values)
    assert ((out == 0) | (out == 2 * values)).all()


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_ends_equal_torch(p):
    values = torch.randn(9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(FastDropout(p)(values), dropout(values, p))


def test_refuses_what_torch_refuses():
    with pytest.raises(ValueError, match="between 0 and 1"):
        FastDropout(1.5)


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_pass_gives_the_bits_of_several(monkeypatch, dtype):
    values = torch.randn(3, 7, 11, generator=torch.Generator().manual_seed(0)).to(dtype)
    runs = []
    for of in (dropout_module.Kernels.of, lambda _: None):
        monkeypatch.setattr(dropout_module.Kernels, "of", of)
        torch.manual_seed(0)
        inputs = values.clone().requires_grad_()
        out = FastDropout(0.3)(inputs)
        (out * out.detach()).sum().backward()
        runs.append((out.detach(), inputs.grad))
    for one, several in zip(*runs, strict=True):
        assert torch.equal(one, several)
