import pytest
import torch

from byola_diff.models.precision import (
    bfloat16_networks,
    computes_bfloat16,
    network_autocast,
    takes_bfloat16,
)


def product():
    with network_autocast("cpu"):
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


def test_float32_unless_asked_whatever_is_around():
    assert product() == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert product() == torch.float32
    with bfloat16_networks("cpu"):
        assert product() == torch.bfloat16
    assert product() == torch.float32


def test_the_wish_ends_with_an_error():
    with pytest.raises(KeyError), bfloat16_networks("cpu"):
        raise KeyError
    assert product() == torch.float32


def test_networks_without_a_say_follow_autocast():
    with bfloat16_networks("cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_which_precision():
    assert takes_bfloat16("bfloat16", "cpu")
    assert not takes_bfloat16("float32", "cpu")
    assert takes_bfloat16("auto", "cpu") == computes_bfloat16("cpu")
    assert not computes_bfloat16("meta")
