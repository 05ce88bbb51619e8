import numpy as np
import pytest
import torch

from byola_diff.probing.parts import (
    Part,
    carve_stratified,
    carve_validation,
    manifest_targets,
    probe_parts,
)
from tests.probing.manifests import manifest_of


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


@pytest.mark.parametrize(
    ("labels", "columns", "message"),
    [
        (
            ["a", "b", "c"],
            {"split": ["train", "train", "test"]},
            r"without a training clip: \['c'\]",
        ),
        (["a", "b", "a"], {"split": ["train", "valid", "test"]}, "fewer than two labels"),
        (["a", "b", "a"], {"split": ["train", "train", "valid"]}, "no clip in split 'test'"),
        (["a", "b", "a"], {"split": ["train", None, "test"]}, "not every clip a split"),
        (["a", "b", "c", "a", "b"], {"fold": [1, 1, 1, 2, 2]}, r"fold 1: .*without .*\['c'\]"),
    ],
)
def test_tasks_that_can_not_be_probed_are_refused(labels, columns, message):
    with pytest.raises(ValueError, match=message):
        probe_parts(manifest_of(labels, **columns), "accuracy")


def test_parts_have_names_and_places():
    part = probe_parts(manifest_of(["a", "b", "a", "b"], fold=[7, 7, 2, 2]), "accuracy")[0]
    assert isinstance(part, Part)
    assert (part.name, part.test.tolist(), part.train.tolist()) == ("fold 2", [2, 3], [0, 1])
    nobody = manifest_targets(manifest_of(["b", "a"], fold=[1, 2]), "accuracy")(part.test[:0])
    assert nobody.shape == (0,)


def test_carving_draws_again_until_every_class_is_on_both_sides():
    labels = np.repeat(np.arange(3), [76, 12, 12])  # half of all draws lack a class
    part = Part("fold 3", np.arange(100), np.empty(0, int), np.empty(0, int))
    drawn = set()
    for seed in range(20):
        train, valid = carve_validation(part, lambda p: torch.tensor(labels[p]), 0.1, seed)
        assert len(valid) == 10
        assert sorted([*train, *valid]) == list(range(100))
        drawn.add(tuple(valid))
        assert set(labels[train]) == set(labels[valid]) == {0, 1, 2}
    assert len(drawn) == 20


def test_too_few_clips_to_carve():
    part = Part("fold 3", np.arange(1), np.empty(0, int), np.empty(0, int))
    with pytest.raises(ValueError, match="fold 3: 1 training clips leave none"):
        carve_validation(part, torch.as_tensor, 0.1, 0)
