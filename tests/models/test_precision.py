import pytest
import torch

from byola_diff.models.precision import (
    bfloat16_networks,
    computes_bfloat16,
    network_autocast,
    resolved_precision,
)


def product():
    with network_autocast("cpu"):
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


def test_float32_unless_asked_whatever_is_around():
    assert product() == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert product() == torch.float32
    with bfloat16_networks():
        assert product() == torch.bfloat16
    assert product() == torch.float32


def test_the_wish_ends_with_an_error():
    with pytest.raises(KeyError), bfloat16_networks():
        raise KeyError
    assert product() == torch.float32


def test_nothing_but_networks_is_rounded():
    with bfloat16_networks():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_which_precision():
    assert resolved_precision("bfloat16", "cpu") == "bfloat16"
    assert resolved_precision("float32", torch.device("cpu")) == "float32"
    assert resolved_precision("auto", "meta") == "float32"
    assert not computes_bfloat16("meta")


@pytest.mark.parametrize(("device", "precision"), [("cuda:1", "bfloat16"), ("cpu", "float32")])
def test_auto_follows_the_hardware_of_the_device(monkeypatch, device, precision):
    monkeypatch.setattr(
        "byola_diff.models.precision.computes_bfloat16", lambda device_type: device_type == "cuda"
    )
    assert resolved_precision("auto", device) == precision
    assert resolved_precision("auto", torch.device(device)) == precision
