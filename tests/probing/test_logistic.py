import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from byola_diff.probing import logistic as linear_probe
from byola_diff.probing.logistic import STRENGTHS, probe_manifest
from tests.probing.manifests import manifest_of


def probe_split(embeddings, labels, split):
    return probe_manifest(embeddings, manifest_of(labels, split=split))["test"]


def probe_folds(embeddings, labels, fold):
    return probe_manifest(embeddings, manifest_of(labels, fold=fold))


def _blobs(n_clips, dim, n_classes=3, spread=1.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n_clips) % n_classes
    centres = rng.normal(size=(n_classes, dim))
    embeddings = centres[labels] + spread * rng.normal(size=(n_clips, dim))
    return embeddings.astype(np.float32), [f"class {label}" for label in labels]


def _splits(n_clips, *counts):
    names = np.repeat(["train", "valid", "test"], counts)
    assert len(names) == n_clips
    return names.tolist()


def test_separable_classes_are_read_and_swapped_labels_are_wrong():
    embeddings = np.array([[0.0], [1], [0.1], [1.1], [0.2], [0.9], [0.1], [1]], np.float32)
    labels = ["a", "b"] * 4
    split = _splits(8, 4, 2, 2)
    assert probe_split(embeddings, labels, split) == 1.0
    assert probe_split(embeddings, [*labels[:6], "b", "a"], split) == 0.0
    assert probe_split(embeddings, [*labels[:6], "a", "a"], split) == 0.5


@pytest.mark.parametrize("dim", [4, 500])  # more and fewer training clips than dimensions
def test_equals_scikit_learn_at_the_chosen_strength(dim, monkeypatch):
    embeddings, labels = _blobs(300, dim, n_classes=5, spread=8.0 if dim > 100 else 1.2)
    split = _splits(300, 150, 0, 150)
    monkeypatch.setattr(linear_probe, "STRENGTHS", (1.0,))
    scaler = StandardScaler().fit(embeddings[:150].astype(np.float64))
    features = scaler.transform(embeddings.astype(np.float64)) / dim**0.5
    oracle = LogisticRegression(C=1.0, tol=1e-8, max_iter=5000).fit(features[:150], labels[:150])
    expected = oracle.score(features[150:], labels[150:])
    assert 0.4 < expected < 1  # neither hopeless nor trivial
    assert probe_split(embeddings, labels, split) == pytest.approx(expected, abs=1e-9)


def test_rounding_of_constant_features_is_not_read():
    """Beside 500 features that only rounding moves, two classes are told by one that varies."""
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    rounding = np.float32(3) * (1 + np.finfo(np.float32).eps * rng.integers(0, 3, (80, 500)))
    embeddings = np.column_stack([labels, rounding]).astype(np.float32)
    names = [f"class {label}" for label in labels]
    assert probe_split(embeddings, names, _splits(80, 40, 0, 40)) == 1.0
    features = linear_probe._features(embeddings, np.arange(40))
    assert np.linalg.matrix_rank(features, tol=1e-4) == 1


def test_turning_to_the_span_of_the_clips_keeps_all_products():
    embeddings, _ = _blobs(40, 200)
    train = np.arange(25)
    features = linear_probe._features(embeddings, train)
    assert features.shape == (40, 25)
    scaler = StandardScaler().fit(embeddings[train].astype(np.float64))
    whole = scaler.transform(embeddings.astype(np.float64)) / 200**0.5
    np.testing.assert_allclose(features @ features[train].T, whole @ whole[train].T, atol=1e-9)


def test_test_labels_and_test_embeddings_never_touch_the_fit(monkeypatch):
    seen = []
    fit = LogisticRegression.fit

    def spy(self, features, labels):
        seen.append((features.copy(), np.asarray(labels).copy()))
        return fit(self, features, labels)

    monkeypatch.setattr(LogisticRegression, "fit", spy)
    embeddings, labels = _blobs(60, 20)
    for split in (_splits(60, 30, 10, 20), _splits(60, 40, 0, 20)):
        seen.clear()
        first = probe_split(embeddings, labels, split)
        before, seen[:] = list(seen), []
        shuffled = [*labels[:40], *["class 0"] * 20]
        other = embeddings.copy()
        other[40:] = 1000.0
        second = probe_split(other, shuffled, split)
        assert len(before) == len(seen) > 0
        for (features, targets), (same_features, same_targets) in zip(before, seen, strict=True):
            np.testing.assert_array_equal(features, same_features)
            np.testing.assert_array_equal(targets, same_targets)
        assert first != second


def test_strength_is_chosen_without_the_test_part(monkeypatch):
    judged = []
    accuracies = linear_probe._accuracies

    def spy(features, targets, fit_and_judge, strengths):
        fit, judge = map(set, fit_and_judge)
        judged.append((len(strengths), judge, fit))
        return accuracies(features, targets, fit_and_judge, strengths)

    monkeypatch.setattr(linear_probe, "_accuracies", spy)
    embeddings, labels = _blobs(60, 5)
    for n_valid, n_choices in ((10, 1), (0, 4)):
        judged.clear()
        probe_split(embeddings, labels, _splits(60, 40 - n_valid, n_valid, 20))
        *choices, (n_strengths, judge, fit) = judged
        assert len(choices) == n_choices
        for _, validation, training in choices:
            assert max(validation | training) < 40
            assert not validation & training
        assert (n_strengths, judge, fit) == (1, set(range(40, 60)), set(range(40 - n_valid)))


def test_validation_clips_choose_the_strength_and_are_not_fitted(monkeypatch):
    sizes = []
    fit = LogisticRegression.fit

    def spy(self, features, labels):
        sizes.append((self.C, len(features)))
        return fit(self, features, labels)

    monkeypatch.setattr(LogisticRegression, "fit", spy)
    embeddings, labels = _blobs(60, 5)
    probe_split(embeddings, labels, _splits(60, 30, 10, 20))
    assert [size for _, size in sizes] == [30] * (len(STRENGTHS) + 1)
    assert [strength for strength, _ in sizes[:-1]] == list(STRENGTHS)


def test_of_equal_strengths_the_most_regularised_is_chosen():
    table = iter([[0.5, 0.9, 0.9, 0.2, 0.1], [0.5, 0.7, 0.7, 0.2, 0.1]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear_probe, "_accuracies", lambda *_: next(table))
        nobody = np.zeros(0, int)
        rounds = [(nobody, nobody)] * 2
        assert linear_probe._choose_strength(nobody, nobody, rounds) == STRENGTHS[1]


def test_inner_parts_hold_each_label_alike():
    parts = linear_probe._stratified_parts(np.repeat([0, 1, 2], [40, 8, 1]))
    assert np.bincount(parts[:40]).tolist() == [10] * 4
    assert np.bincount(parts[40:48]).tolist() == [2] * 4


def test_folds_are_each_judged_by_the_others():
    embeddings, labels = _blobs(90, 6, spread=1.5)
    fold = [number // 3 % 3 + 1 for number in range(90)]
    accuracies = probe_folds(embeddings, labels, fold)
    assert list(accuracies) == ["fold 1", "fold 2", "fold 3"]
    for name, accuracy in accuracies.items():
        split = ["test" if name == f"fold {part}" else "train" for part in fold]
        assert accuracy == probe_split(embeddings, labels, split)


def test_order_of_clips_and_scale_of_dimensions_do_not_matter():
    embeddings, labels = _blobs(80, 10, spread=2.0)
    split = _splits(80, 40, 20, 20)
    expected = probe_split(embeddings, labels, split)
    order = np.random.default_rng(1).permutation(80)
    turned = [[column[place] for place in order] for column in (labels, split)]
    assert probe_split(embeddings[order], *turned) == expected
    scales = np.logspace(-2, 2, 10, dtype=np.float32)
    assert probe_split(embeddings * scales + 5, labels, split) == expected


def test_constant_dimensions_are_harmless():
    embeddings, labels = _blobs(30, 4)
    embeddings[:, 2] = 7
    assert probe_split(embeddings, labels, _splits(30, 15, 0, 15)) > 0.5


def test_two_training_clips_are_enough():
    embeddings = np.array([[0.0, 1], [1, 0], [0, 2], [2, 0]], np.float32)
    assert probe_split(embeddings, ["a", "b", "a", "b"], _splits(4, 2, 0, 2)) == 1.0


def test_bad_input():
    embeddings, labels = _blobs(12, 4)
    split = _splits(12, 6, 0, 6)
    with pytest.raises(ValueError, match=r"without a training clip: \['new'\]"):
        probe_split(embeddings, [*labels[:11], "new"], split)
    with pytest.raises(ValueError, match="no clip in split 'test'"):
        probe_split(embeddings, labels, ["train"] * 12)
    with pytest.raises(ValueError, match="no clip in split 'train'"):
        probe_split(embeddings, labels, ["test"] * 12)
    with pytest.raises(ValueError, match="fewer than two labels"):
        probe_split(embeddings, ["a"] * 12, split)
    with pytest.raises(ValueError, match="fewer than two labels"):
        probe_folds(embeddings, labels, [1] * 12)
    with pytest.raises(ValueError, match="12 embeddings for 11 clips"):
        probe_split(embeddings, labels[:11], split[:11])
    broken = embeddings.copy()
    broken[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"1 clips are NaN or infinite, as \[3\]"):
        probe_split(broken, labels, split)


def test_missing_scikit_learn_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.linear_model", None)
    embeddings, labels = _blobs(12, 4)
    with pytest.raises(ModuleNotFoundError, match=r"byola-diff\[evaluate\]"):
        probe_split(embeddings, labels, _splits(12, 6, 0, 6))


def test_features_that_are_constant_but_for_rounding_are_no_noise():
    # The mean of many float64 copies of 0.1 as float32 is off by a rounding error.
    embeddings, labels = _blobs(300, 4, spread=0.3)
    split = _splits(300, 200, 0, 100)
    constant = np.full((300, 50), 0.1, np.float32)
    expected = probe_split(embeddings, labels, split)
    assert probe_split(np.hstack([embeddings, constant]), labels, split) >= expected - 0.02
