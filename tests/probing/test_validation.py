import numpy as np
import pytest
import torch

from byola_diff.probing.parts import Part
from byola_diff.probing.validation import carve_stratified


@pytest.mark.parametrize("seed", range(5))
def test_every_class_gives_its_share(seed):
    labels = np.repeat(np.arange(50), 24)
    targets_of = lambda places: torch.tensor(labels[places])  # noqa: E731
    part = Part("test", 3 + np.arange(1197), np.empty(0, int), np.empty(0, int))
    train, valid = carve_stratified(part, targets_of, 0.1, seed)
    assert len(valid) == 120
    assert sorted([*train, *valid]) == part.train.tolist()
    assert set(np.bincount(labels[valid], minlength=50)) <= {2, 3}
    again = carve_stratified(part, targets_of, 0.1, seed)
    assert again[1].tolist() == valid.tolist()
    other = carve_stratified(part, targets_of, 0.1, seed + 100)
    assert other[1].tolist() != valid.tolist()


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ((10, 20, 30), 0.1, (1, 2, 3)),
        ((14, 16, 30), 0.1, (1, 2, 3)),  # what whole clips leave over goes where most is lacking
        ((1, 1, 18), 0.1, (0, 0, 2)),  # a single clip is trained on
        ((2, 2), 0.9, (1, 1)),  # of each class one is left
        ((3, 3), 0.01, (1, 0)),  # at least one
    ],
)
def test_shares_of_uneven_classes(counts, share, expected):
    labels = np.repeat(np.arange(len(counts)), counts)
    part = Part("test", np.arange(len(labels)), np.empty(0, int), np.empty(0, int))
    train, valid = carve_stratified(part, lambda p: torch.tensor(labels[p]), share, 0)
    found = np.bincount(labels[valid], minlength=len(counts))
    assert sorted(found) == sorted(expected)
    assert len(set(counts)) < len(counts) or found.tolist() == list(expected)
    assert (np.bincount(labels[train], minlength=len(counts)) > 0).all()


def test_what_can_not_be_shared_out_is_refused():
    part = Part("test", np.arange(3), np.empty(0, int), np.empty(0, int))
    with pytest.raises(ValueError, match="test: no class has a training clip to spare"):
        carve_stratified(part, torch.as_tensor, 0.5, 0)
    with pytest.raises(ValueError, match="test: shares of classes need one label per clip"):
        carve_stratified(part, lambda places: torch.ones(len(places), 2), 0.5, 0)
