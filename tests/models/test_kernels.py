"""What is compiled does not depend on PyTorch's defaults, and is there where a compiler is."""

import pytest
import torch
from torch import nn

from byola_diff.models.dropout import FastDropout
from byola_diff.models.kernels import Kernels
from byola_diff.models.norm_relu_pool import norm_relu_pool
from byola_diff.models.pooling import mean_max_pool_float32
from tests.helpers import needs_compiler


@pytest.fixture
def other_defaults():
    """Another default type, and a device on which nothing has an address."""
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)
    torch.set_default_dtype(torch.float32)


@needs_compiler
def test_a_compiler_is_enough():
    # Else every comparison of compiled with plain operations compares one thing with itself.
    assert Kernels.of(torch.zeros(1)) is not None


@needs_compiler
def test_defaults_of_pytorch_change_nothing(other_defaults):
    frames = torch.tensor([[[1.0], [4.0]]], dtype=torch.float32, device="cpu")
    assert mean_max_pool_float32(frames).tolist() == [[6.5]]
    ones = torch.ones(4, 1000, dtype=torch.float32, device="cpu")
    kept = FastDropout(0.5)(ones)
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    maps = torch.tensor([[[[0.0, 0.0], [0.0, 2.0]]]], dtype=torch.float32, device="cpu")
    norm = nn.BatchNorm2d(1, eps=0.0, device="cpu", dtype=torch.float32)
    pooled = norm_relu_pool(maps.contiguous(memory_format=torch.channels_last), norm)
    # Mean 0.5, deviation sqrt(0.75): (2 - 0.5) / 0.866 = 1.732.
    assert pooled.flatten().tolist() == pytest.approx([3**0.5])


@needs_compiler
@pytest.mark.parametrize("outlier", [10.0, 1e3, 1e5])
def test_one_value_far_off_does_not_spoil_the_variance(outlier):
    generator = torch.Generator().manual_seed(0)
    maps = 0.01 * torch.randn(16, 1, 8, 96, generator=generator)
    maps[0, 0, 0, 0] = outlier
    maps = maps.contiguous(memory_format=torch.channels_last)
    kernels = Kernels.of(maps)
    _, variance = kernels.statistics(maps)
    expected = maps.double().var(correction=0).item()
    assert variance.item() == pytest.approx(expected, rel=1e-5)


@needs_compiler
def test_a_channel_of_one_value_has_no_variance_below_zero():
    maps = torch.full((3, 2, 5, 7), 0.1).contiguous(memory_format=torch.channels_last)
    _, variance = Kernels.of(maps).statistics(maps)
    assert ((variance >= 0) & (variance < 1e-15)).all()
