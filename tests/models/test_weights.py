import os
import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from byola_diff.models.weights import WeightsSource, fill, read_tensors, seeded_network
from byola_diff.storage import BrokenFileError, hash_file

SOURCE = WeightsSource("Model", "model.pth", "https://example.org/model")


def network(dim=3):
    return nn.Sequential(nn.Linear(2, dim), nn.BatchNorm1d(dim))


def saved(tmp_path, content, name="weights.pth", **options):
    torch.save(content, tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize("wrapping", [None, "state_dict", "model"])
def test_reads_a_torch_file(tmp_path, wrapping):
    weights = network().state_dict()
    path = saved(tmp_path, {wrapping: weights, "epoch": 3} if wrapping else weights)
    found = read_tensors(path, SOURCE)
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], value) for name, value in weights.items())


def test_reads_safetensors(tmp_path):
    save_file(network().state_dict(), tmp_path / "a.safetensors")
    assert read_tensors(tmp_path / "a.safetensors", SOURCE).keys() == network().state_dict().keys()
    (tmp_path / "b.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(BrokenFileError, match="not a safetensors file"):
        read_tensors(tmp_path / "b.safetensors", SOURCE)


@pytest.mark.parametrize(("name", "save"), [("a.safetensors", save_file), ("a.pth", torch.save)])
def test_a_hash_beside_a_file_is_compared_and_its_lack_is_said(tmp_path, capsys, name, save):
    path = tmp_path / name
    save(network().state_dict(), path)
    read_tensors(path, SOURCE, checked=True)
    assert capsys.readouterr().err == ""
    read_tensors(path, SOURCE)
    assert f"{name} comes without {name}.sha256: not checked" in capsys.readouterr().err
    hash_file(path).write_text(f"{'0' * 64}  {name}")
    with pytest.raises(BrokenFileError, match="does not match its SHA-256"):
        read_tensors(path, SOURCE)


@pytest.mark.parametrize("is_zip", [True, False])
def test_reads_a_checkpoint_with_arrays_of_old_numpy(tmp_path, is_zip):
    # As PANNs are published: with the state of the sampler, pickled by numpy 1.
    sampler = {"indexes_per_class": [np.arange(5), np.arange(3, dtype=np.int32)], "queue": [1]}
    content = {"iteration": 7, "model": {"a": torch.ones(2)}, "sampler": sampler}
    path = saved(tmp_path, content, _use_new_zipfile_serialization=is_zip)
    if not is_zip:
        pickled = path.read_bytes()
        assert b"numpy._core.multiarray" in pickled
        path.write_bytes(pickled.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert read_tensors(path, SOURCE)["a"].tolist() == [1, 1]


class _Hostile:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("hide", [lambda bad: bad, lambda bad: np.array([bad, None])])
def test_hostile_pickle_is_refused_unrun(tmp_path, hide):
    marker = tmp_path / "was run"
    path = saved(tmp_path, {"a": torch.ones(1), "b": hide(_Hostile(marker))})
    with pytest.raises(BrokenFileError, match="plain tensors"):
        read_tensors(path, SOURCE)
    assert not marker.exists()


def test_nothing_stays_allowed_after_reading(tmp_path):
    before = set(torch.serialization.get_safe_globals())  # a list made of a set: order is not kept
    read_tensors(saved(tmp_path, {"a": torch.ones(1)}), SOURCE)
    assert set(torch.serialization.get_safe_globals()) == before


def test_missing_file_says_where_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Model.*model\.pth.*https://example\.org/model"):
        read_tensors(tmp_path / "none.pth", SOURCE)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({}, "empty"),
        ({"a": torch.ones(1), "b": 3}, r"named tensors: b \(int\)$"),
        ([1], "holds a list"),
    ],
)
def test_other_content_is_refused(tmp_path, content, match):
    with pytest.raises(BrokenFileError, match=match):
        read_tensors(saved(tmp_path, content), SOURCE)


def test_truncated_file_is_refused(tmp_path):
    path = saved(tmp_path, network().state_dict())
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(BrokenFileError, match=re.escape(str(path))):
        read_tensors(path, SOURCE)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_fill_puts_everything_in(tmp_path, device):
    weights = {name: torch.rand(value.shape) for name, value in network().state_dict().items()}
    weights["0.weight"] = weights["0.weight"].half()
    del weights["1.num_batches_tracked"]
    with torch.device(device):
        filled = network()
    fill(filled, weights | {"head.weight": torch.ones(9)}, tmp_path, ignored=("head.",))
    for name, value in filled.state_dict().items():
        assert value.device.type == "cpu"
        assert value.dtype == (torch.int64 if "num_batches" in name else torch.float32)
        torch.testing.assert_close(value, weights.get(name, torch.tensor(0)), check_dtype=False)
    assert isinstance(filled[0].weight, nn.Parameter)


def test_fill_lists_what_does_not_fit(tmp_path):
    weights = network(dim=4).state_dict() | {"other": torch.ones(1)}
    del weights["0.bias"]
    with pytest.raises(BrokenFileError) as error:
        fill(network(), weights, tmp_path)
    for part in ("another architecture", "missing: 0.bias", "unexpected: other", "Sequential"):
        assert part in str(error.value)
    assert "of wrong shape: 0.weight [4, 2] instead of [3, 2], 1.weight [4]" in str(error.value)


def test_long_lists_are_cut(tmp_path):
    weights = network().state_dict() | {f"layer{n}": torch.ones(1) for n in range(20)}
    with pytest.raises(BrokenFileError, match=r"layer4 and 15 more$"):
        fill(network(), weights, tmp_path)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(tmp_path, bad):
    weights = network().state_dict()
    weights["0.bias"][1] = bad
    with pytest.raises(BrokenFileError, match=r"NaN or infinite values in 0\.bias$"):
        fill(network(), weights, tmp_path)


def test_ignored_are_names_that_start_so(tmp_path):
    weights = network().state_dict() | {"head.0": torch.ones(1), "header": torch.ones(1)}
    with pytest.raises(BrokenFileError, match=r"unexpected: header$"):
        fill(network(), weights, tmp_path, ignored=("head.",))


def test_seeded_network_depends_on_the_seed_alone():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = seeded_network(network, 5)[0].weight
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(seeded_network(network, 5)[0].weight, first)
    assert not torch.equal(seeded_network(network, 6)[0].weight, first)
