import pytest
import torch

from byola_diff.models.kernels import Kernels
from tests.helpers import needs_compiler


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_values_whose_bits_are_below_the_threshold_are_dropped(dtype):
    values = torch.tensor([1.0, 2.0, 3.0, -4.0], dtype=dtype)
    bits = torch.tensor([-5, -4, -3, 32767], dtype=torch.int16)
    kernels = Kernels.of(values)
    assert kernels.scale_kept(values, bits, -4, 0.5).tolist() == [0.0, 1.0, 1.5, -2.0]


@needs_compiler
def test_bfloat16_is_rounded_to_the_nearest_even():
    # 1 + 2**-8 lies between 1 and 1 + 2**-7, 1 + 3 * 2**-8 between 1 + 2**-7 and 1 + 2**-6.
    values = torch.tensor([1.0, 3.0], dtype=torch.bfloat16)
    bits = torch.zeros(2, dtype=torch.int16)
    scale = 1 + 2**-8
    out = Kernels.of(values).scale_kept(values, bits, 0, scale)
    assert torch.equal(out, (values.float() * scale).bfloat16())
    assert out[0].item() == 1.0


def test_there_are_none_for_other_types_and_places():
    for values in (torch.zeros(2).double(), torch.zeros(2).half(), torch.zeros(2, device="meta")):
        assert Kernels.of(values) is None
    assert Kernels.of(torch.zeros(0)) is None


def test_they_can_be_switched_off(monkeypatch):
    monkeypatch.setattr("byola_diff.models.kernels.compiled_library", lambda source: None)
    assert Kernels.of(torch.zeros(2)) is None
