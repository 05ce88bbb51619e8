from pathlib import Path

import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from byola_diff.probing.nearest import (
    judged_sides,
    nearest_accuracy,
    nearest_neighbour_accuracy,
)
from byola_diff.tables.manifest import Clip, Manifest


def test_by_hand():
    # Means (1, 1) away: after centring, training clips lie on the four axes.
    train = torch.tensor([[2.0, 1.0], [0.0, 1.0], [1.0, 2.0], [1.0, 0.0]])
    labels = torch.tensor([0, 1, 2, 3])
    test = torch.tensor([[9.0, 1.5], [1.1, 7.0], [-3.0, 1.0]])
    assert nearest_accuracy(train, labels, test, torch.tensor([0, 2, 1]), 1) == 1.0
    assert nearest_accuracy(train, labels, test, torch.tensor([0, 2, 3]), 1) == pytest.approx(2 / 3)


def test_majority_wins_over_the_nearest():
    train = torch.tensor([[1.0, 0.0], [1.0, 0.4], [1.0, -0.4], [-3.0, 0.0]])
    labels = torch.tensor([0, 1, 1, 2])
    query = torch.tensor([[1.0, 0.0]])
    assert nearest_accuracy(train, labels, query, torch.tensor([0]), 1) == 1.0
    assert nearest_accuracy(train, labels, query, torch.tensor([1]), 3) == 1.0


def test_a_tie_goes_to_the_nearer_label():
    train = torch.tensor([[1.0, 0.5], [1.0, 0.0], [-2.0, -0.5]])
    labels = torch.tensor([0, 1, 2])
    query = torch.tensor([[1.0, 0.1]])
    assert nearest_accuracy(train, labels, query, torch.tensor([1]), 2) == 1.0


def test_one_neighbour_equals_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    train = torch.randn(60, 8, generator=generator)
    test = torch.randn(1500, 8, generator=generator)
    labels = torch.randint(5, (60,), generator=generator)
    answers = torch.randint(5, (1500,), generator=generator)
    oracle = KNeighborsClassifier(1, metric="cosine")
    oracle.fit((train - train.mean(0)).numpy(), labels.numpy())
    expected = oracle.score((test - train.mean(0)).numpy(), answers.numpy())
    assert nearest_accuracy(train, labels, test, answers, 1) == pytest.approx(expected, abs=1e-9)


def test_scale_does_not_matter_nor_do_more_neighbours_than_clips():
    generator = torch.Generator().manual_seed(1)
    train, test = torch.randn(12, 4, generator=generator), torch.randn(9, 4, generator=generator)
    labels, answers = torch.arange(12) % 3, torch.arange(9) % 3
    one = nearest_accuracy(train, labels, test, answers, 3)
    assert nearest_accuracy(1000 * train, labels, 1000 * test, answers, 3) == one
    nearest_accuracy(train, labels, test, answers, 500)


def test_bad_input():
    clip, label = torch.zeros(2, 3), torch.tensor([0, 1])
    with pytest.raises(ValueError, match="0 test clips"):
        nearest_accuracy(clip, label, torch.zeros(0, 3), torch.zeros(0, dtype=torch.long))
    with pytest.raises(ValueError, match="NaN"):
        nearest_accuracy(clip, label, torch.full((2, 3), torch.nan), label)


def _manifest(parts, **column):
    clips = tuple(
        Clip(f"{number}.wav", (label,), **{name: values[number] for name, values in column.items()})
        for number, label in enumerate(parts)
    )
    return Manifest(Path(), clips, tuple(sorted(set(parts))))


def test_manifest_with_splits_is_judged_on_valid():
    manifest = _manifest("abaabb", split=["train", "train", "valid", "valid", "test", "test"])
    embeddings = torch.tensor([[1.0, 0], [-1, 0], [2, 0], [-2, 0], [9, 0], [9, 0]])
    assert nearest_neighbour_accuracy(embeddings, manifest, 1) == 0.5


def test_manifest_with_folds_is_averaged():
    manifest = _manifest("abab", fold=[1, 1, 2, 2])
    embeddings = torch.tensor([[1.0, 0], [-1, 0], [2, 0], [3, 0]])
    # Fold 2 by fold 1: a right, b wrong. Fold 1 by fold 2 (mean 2.5): b right of it, so -1 is an a.
    assert nearest_neighbour_accuracy(embeddings, manifest, 1) == 0.5


@pytest.mark.parametrize(("split", "lacking"), [("test", "train"), ("train", "test")])
def test_manifest_with_one_side_is_refused(split, lacking):
    with pytest.raises(ValueError, match=f"no clip in split '{lacking}'"):
        judged_sides(_manifest("ab", split=[split, split]))


def test_a_split_counts_before_a_fold():
    manifest = _manifest("abab", split=["train", "train", "test", "test"], fold=[1, 2, 1, 2])
    [(fit, judge)] = judged_sides(manifest)
    assert (fit.tolist(), judge.tolist()) == (
        [True, True, False, False],
        [False, False, True, True],
    )


def test_several_labels_are_refused_before_anything_is_embedded():
    clips = (Clip("0.wav", ("a", "b"), split="train"), Clip("1.wav", ("a",), split="test"))
    with pytest.raises(ValueError, match="row 2: the nearest neighbours' vote needs one label"):
        judged_sides(Manifest(Path(), clips, ("a", "b")))
