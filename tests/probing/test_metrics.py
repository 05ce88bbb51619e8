import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

from byola_diff.probing.metrics import (
    accuracy,
    auc_roc,
    chroma_accuracy,
    d_prime,
    mean_average_precision,
)

MACRO = [mean_average_precision, auc_roc, d_prime]


def random_case(seed, decimals=8):
    """Scores with ties if they have few decimals, and labels that every class has and lacks."""
    rng = np.random.default_rng(seed)
    multi_hot = rng.random((30, 6)) < rng.uniform(0.2, 0.6, 6)
    multi_hot[0], multi_hot[1] = True, False
    return np.round(rng.random((30, 6)) + 0.3 * multi_hot, decimals), multi_hot


def test_accuracy_counts_the_highest_score():
    scores = np.array([[0.1, 0.9, 0.0], [0.5, 0.2, 0.3], [0.0, 0.1, 0.2], [0.3, 0.1, 0.2]])
    assert accuracy(scores, np.array([1, 0, 0, 2])) == 0.5


def test_among_equal_scores_the_first_class_counts():
    assert accuracy(np.zeros((2, 3)), np.array([0, 1])) == 0.5


def test_chroma_ignores_octaves():
    scores = np.eye(25)[[12, 13, 24, 1]]
    target = np.array([0, 12, 12, 2])
    assert accuracy(scores, target) == 0.0
    assert chroma_accuracy(scores, target) == 0.5


def test_chroma_of_a_vocabulary_with_gaps():
    # Classes are the pitches 60, 64 and 72: the last is an octave above the first.
    scores = np.eye(3)[[2, 1]]
    target = np.array([0, 0])
    assert chroma_accuracy(scores, target) == 0.0
    assert chroma_accuracy(scores, target, np.array([60, 64, 72])) == 0.5


def test_average_precision_by_hand():
    # Positives at ranks 1 and 3 of four: (1/1 + 2/3) / 2; then at rank 2 of four: 1/2.
    scores = np.array([[0.9, 0.9], [0.8, 0.8], [0.7, 0.7], [0.6, 0.6]])
    multi_hot = np.array([[1, 0], [0, 1], [1, 0], [0, 0]])
    assert mean_average_precision(scores, multi_hot) == pytest.approx((5 / 6 + 1 / 2) / 2)


def test_auc_by_hand():
    # Of the pairs (0.4, 0.1), (0.4, 0.4), (0.2, 0.1), (0.2, 0.4): 1, a half, 1, 0.
    scores = np.array([[0.4], [0.2], [0.1], [0.4]])
    assert auc_roc(scores, np.array([[1], [1], [0], [0]])) == pytest.approx(2.5 / 4)


@pytest.mark.parametrize("decimals", [8, 1])
def test_macro_metrics_are_those_of_scikit_learn(decimals):
    for seed in range(5):
        scores, multi_hot = random_case(seed, decimals)
        precision = average_precision_score(multi_hot, scores, average="macro")
        auc = roc_auc_score(multi_hot, scores, average=None)
        assert mean_average_precision(scores, multi_hot) == pytest.approx(precision, abs=1e-12)
        assert auc_roc(scores, multi_hot) == pytest.approx(np.mean(auc), abs=1e-12)
        expected = np.mean(math.sqrt(2) * norm.ppf(auc))
        assert d_prime(scores, multi_hot) == pytest.approx(expected, abs=1e-9)


def test_chance_has_no_d_prime():
    assert d_prime(np.zeros((4, 1)), np.array([[1], [0], [1], [0]])) == 0.0


@pytest.mark.parametrize(("order", "sign"), [([3, 2, 1, 0], 1), ([0, 1, 2, 3], -1)])
def test_perfect_d_prime_is_finite(order, sign):
    # Half of the four pairs' quarter: an AUC of 7/8 or 1/8.
    value = d_prime(np.array(order, float)[:, None], np.array([[1], [1], [0], [0]]))
    assert value == pytest.approx(sign * math.sqrt(2) * norm.ppf(7 / 8))


@pytest.mark.parametrize("metric", MACRO)
def test_a_class_without_positives_is_left_out(metric):
    scores, multi_hot = random_case(0)
    with_absent = np.concatenate([multi_hot, np.zeros((30, 1), bool)], axis=1)
    wider = np.concatenate([scores, np.linspace(0, 1, 30)[:, None]], axis=1)
    assert metric(wider, with_absent) == pytest.approx(metric(scores, multi_hot))


@pytest.mark.parametrize("metric", [auc_roc, d_prime])
def test_a_class_without_negatives_is_left_out_of_auc(metric):
    scores, multi_hot = random_case(0)
    wider = np.concatenate([scores, scores[:, :1]], axis=1)
    always = np.concatenate([multi_hot, np.ones((30, 1), bool)], axis=1)
    assert metric(wider, always) == pytest.approx(metric(scores, multi_hot))
    assert mean_average_precision(wider, always) > mean_average_precision(scores, multi_hot)


@pytest.mark.parametrize("metric", MACRO)
def test_order_and_scale_do_not_matter(metric):
    scores, multi_hot = random_case(1)
    shuffled = np.random.default_rng(0).permutation(30)
    expected = metric(scores, multi_hot)
    assert metric(scores[shuffled], multi_hot[shuffled]) == pytest.approx(expected)
    assert metric(3 * scores - 7, multi_hot.astype(np.float32)) == pytest.approx(expected)


@pytest.mark.parametrize("metric", [accuracy, chroma_accuracy])
def test_accuracies_refuse_bad_input(metric):
    with pytest.raises(ValueError, match="1 clips are NaN"):
        metric(np.array([[0.0, 1.0], [np.nan, 1.0]]), np.array([0, 1]))
    with pytest.raises(ValueError, match="no clips"):
        metric(np.zeros((0, 2)), np.zeros(0, int))


@pytest.mark.parametrize("metric", MACRO)
def test_macro_metrics_refuse_bad_input(metric):
    scores, multi_hot = random_case(0)
    scores[3, 2] = np.nan
    with pytest.raises(ValueError, match="1 clips are NaN"):
        metric(scores, multi_hot)
    with pytest.raises(ValueError, match="all alike"):
        metric(np.zeros((3, 2)), np.zeros((3, 2), bool))
    with pytest.raises(ValueError, match="0 or 1"):
        metric(np.zeros((1, 2)), np.array([[2, 0]]))
    with pytest.raises(ValueError, match="no clips"):
        metric(np.zeros((0, 2)), np.zeros((0, 2), bool))


def test_infinite_scores_are_ranked():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert auc_roc(np.array([[np.inf], [0.0], [-np.inf]]), np.array([[1], [0], [0]])) == 1.0


@st.composite
def ranked(draw):
    """Scores with ties of a few clips, and labels of which each class has some and lacks some."""
    n_clips, n_classes = draw(st.integers(2, 12)), draw(st.integers(1, 4))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    multi_hot = rng.random((n_clips, n_classes)) < draw(st.floats(0.1, 0.9))
    multi_hot[0], multi_hot[1] = True, False
    return rng.integers(-3, 4, (n_clips, n_classes)).astype(float), multi_hot, rng


@pytest.mark.parametrize("metric", MACRO)
@settings(max_examples=50, deadline=None)
@given(case=ranked())
def test_neither_order_of_clips_nor_of_classes_matters(metric, case):
    scores, multi_hot, rng = case
    clips, classes = rng.permutation(len(scores)), rng.permutation(scores.shape[1])
    found = metric(scores[clips][:, classes], multi_hot[clips][:, classes])
    assert found == pytest.approx(metric(scores, multi_hot), abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(case=ranked())
def test_perfect_scores_reach_the_largest_value(case):
    scores, multi_hot, _ = case
    perfect = multi_hot + 0.01 * scores  # never out of order
    assert mean_average_precision(perfect, multi_hot) == 1.0
    assert auc_roc(perfect, multi_hot) == 1.0
    assert d_prime(perfect, multi_hot) >= d_prime(scores, multi_hot)


@settings(max_examples=50, deadline=None)
@given(case=ranked())
def test_turned_scores_turn_auc_and_d_prime_around(case):
    scores, multi_hot, _ = case
    assert auc_roc(-scores, multi_hot) == pytest.approx(1 - auc_roc(scores, multi_hot), abs=1e-12)
    turned, value = d_prime(-scores, multi_hot), d_prime(scores, multi_hot)
    assert turned == pytest.approx(-value, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_classes=st.integers(2, 30))
def test_accuracy_of_perfect_and_of_shuffled_predictions(seed, n_classes):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, n_classes, 20)
    scores = np.eye(n_classes)[target]
    assert accuracy(scores, target) == chroma_accuracy(scores, target) == 1.0
    guess = rng.random((20, n_classes))
    order = rng.permutation(20)
    assert accuracy(guess[order], target[order]) == accuracy(guess, target)
    assert accuracy(guess, target) <= chroma_accuracy(guess, target) <= 1
