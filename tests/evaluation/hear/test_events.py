import random

import numpy as np
import pytest
from scipy.signal import medfilt

from byola_diff.evaluation.hear.events import (
    LabelledEvent,
    PostProcessing,
    detection_scores,
    find_events,
    frame_targets,
    segment_error_rate,
)

PLAIN = PostProcessing(0.0, 0.0)


def event(label, start_ms, end_ms):
    return LabelledEvent(label, float(start_ms), float(end_ms))


def cell(median_filter_ms, min_duration_ms):
    return PostProcessing(float(median_filter_ms), float(min_duration_ms))


def found(columns, processing=PLAIN, hop_ms=50.0):
    probability = np.array(columns, float).T
    times_ms = 25 + hop_ms * np.arange(len(probability))
    return find_events(probability, times_ms, ("a", "b"), processing)


def test_runs_above_the_threshold_become_events():
    events = found([[0.9, 0.8, 0.5, 0.1, 0.7, 0.7], [0.0, 0.6, 0.6, 0.6, 0.0, 0.0]])
    assert events == (event("a", 25, 75), event("b", 75, 175), event("a", 225, 275))


def test_an_event_may_last_one_frame_or_all():
    assert found([[0, 1, 0], [1, 1, 1]]) == (event("b", 25, 125), event("a", 75, 75))


def test_short_events_are_dropped():
    columns = [[1, 1, 1, 0, 1, 1], [0, 0, 0, 0, 0, 1]]
    assert found(columns, cell(0, 100)) == (event("a", 25, 125),)
    assert len(found(columns, cell(0, 50))) == 2


def test_median_filter_fills_gaps_and_drops_clicks():
    # Width 150 / 50 = 3: a single frame is outvoted by its neighbours.
    columns = [[1, 1, 0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1, 0, 0]]
    assert found(columns, cell(150, 0)) == (event("a", 25, 225),)


@pytest.mark.parametrize(("median_ms", "width"), [(0, 1), (70, 1), (130, 3), (250, 5)])
def test_width_is_the_rounded_ratio_to_the_hop(median_ms, width):
    column = np.random.default_rng(0).random(60)
    column[:6] = column[-6:] = 0  # filters differ at the ends
    expected = np.flatnonzero(medfilt(column, width) > 0.5)
    events = found([column, 0 * column], cell(median_ms, 0))
    frames = [
        frame
        for event in events
        for frame in range(round((event.start_ms - 25) / 50), round((event.end_ms - 25) / 50) + 1)
    ]
    assert frames == expected.tolist()


def test_classes_are_filtered_apart():
    columns = [[1, 1, 1, 1, 1], [0, 0, 1, 0, 0]]
    assert found(columns, cell(250, 0)) == (event("a", 25, 225),)


def test_order_of_the_frames_does_not_matter():
    rng = np.random.default_rng(0)
    probability, times_ms = rng.random((40, 2)), 10.0 * np.arange(40)
    order = rng.permutation(40)
    processing = cell(30, 10)
    expected = find_events(probability, times_ms, ("a", "b"), processing)
    assert expected
    assert find_events(probability[order], times_ms[order], ("a", "b"), processing) == expected


def test_a_single_frame_is_not_filtered():
    assert found([[0.9], [0.1]], cell(250, 0)) == (event("a", 25, 25),)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        found([[0.1, np.nan], [0, 0]])


def test_frames_between_start_and_end_belong_to_an_event():
    times_ms = np.array([0.0, 50.0, 100.0, 150.0, 200.0])
    events = [event("b", 50, 150), event("a", 120, 130), event("b", 140, 199.99)]
    targets = frame_targets(times_ms, events, ("a", "b"))
    # The frames on the start and on the end count; one just outside, or none at all, do not.
    np.testing.assert_array_equal(targets, [[0, 0], [0, 1], [0, 1], [0, 1], [0, 0]])


def test_the_end_has_a_margin_of_a_tenth_of_a_microsecond():
    times_ms = np.array([99.9999, 100.00005, 100.0002])
    targets = frame_targets(times_ms, [event("a", 100, 100)], ("a",))
    np.testing.assert_array_equal(targets[:, 0], [0, 1, 0])


def test_no_events_give_zeros():
    assert not frame_targets(np.arange(3.0), [], ("a", "b")).any()


LABELS = ("bell", "cough", "door")

# F-measure, precision and recall of event_onset_200ms, event_onset_50ms and
# event_onset_offset_50ms_20perc, then segment_1s_er: worked by sed_eval 0.2.1 on `random_files`.
SED_EVAL = {
    0: [
        0.6415094339622641, 0.6296296296296297, 0.6538461538461539,
        0.22641509433962265, 0.2222222222222222, 0.23076923076923078,
        0.18867924528301885, 0.18518518518518517, 0.19230769230769232,
        0.5263157894736842,
    ],
    1: [
        0.41666666666666663, 0.35714285714285715, 0.5,
        0.08333333333333333, 0.07142857142857142, 0.1,
        0.0, 0.0, 0.0,
        0.8666666666666667,
    ],
    2: [
        0.7647058823529411, 0.7222222222222222, 0.8125,
        0.5294117647058824, 0.5, 0.5625,
        0.5294117647058824, 0.5, 0.5625,
        0.375,
    ],
    3: [
        0.7647058823529412, 0.7647058823529411, 0.7647058823529411,
        0.5, 0.5, 0.5,
        0.4411764705882353, 0.4411764705882353, 0.4411764705882353,
        0.3913043478260869,
    ],
}  # fmt: skip


def random_files(seed, n_files=4):
    """True events, and predictions that are late, early, mislabelled, missing or made up."""
    rng = random.Random(seed)
    reference, predicted = {}, {}
    for number in range(n_files):
        true, found = reference[f"{number}.wav"], predicted[f"{number}.wav"] = [], []
        for _ in range(rng.randrange(12)):
            start, length, label = rng.uniform(0, 9000), rng.uniform(40, 1500), rng.choice(LABELS)
            true.append(event(label, start, start + length))
            if rng.random() < 0.8:
                guess = label if rng.random() < 0.85 else rng.choice(LABELS)
                begin = max(0.0, start + rng.gauss(0, 60))
                end = max(begin, start + length + rng.gauss(0, 80))
                found.append(event(guess, begin, end))
        for _ in range(rng.randrange(4)):
            start = rng.uniform(0, 9000)
            found.append(event(rng.choice(LABELS), start, start + rng.uniform(0, 900)))
    return reference, predicted


@pytest.mark.parametrize("seed", SED_EVAL)
def test_values_are_those_of_sed_eval(seed):
    reference, predicted = random_files(seed)
    values = []
    for settings in (
        {"collar_s": 0.2},
        {"collar_s": 0.05},
        {"collar_s": 0.05, "length_share": 0.2},
    ):
        scores = detection_scores(reference, predicted, **settings)
        values += scores
    values.append(segment_error_rate(reference, predicted))
    assert values == pytest.approx(SED_EVAL[seed], abs=1e-12)


def test_counts_are_summed_over_files():
    # Found: 1 of 1 in the first file, 1 of 3 in the second, where 2 were predicted.
    reference = {
        "a.wav": [event("bell", 0, 100)],
        "b.wav": [event("bell", 0, 100), event("bell", 1000, 1100), event("door", 0, 100)],
    }
    predicted = {
        "a.wav": [event("bell", 30, 500)],
        "b.wav": [event("bell", 1020, 1100), event("cough", 0, 100)],
    }
    scores = detection_scores(reference, predicted, collar_s=0.05)
    assert scores == (4 / 7, 2 / 3, 2 / 4)


def test_as_many_as_possible_are_matched():
    # The first true event is close to both predictions; taking the nearer would lose the second.
    reference = {"a.wav": [event("bell", 100, 200), event("bell", 190, 300)]}
    predicted = {"a.wav": [event("bell", 110, 200), event("bell", 20, 200)]}
    assert detection_scores(reference, predicted, collar_s=0.1)[2] == 1.0


def test_an_event_is_matched_once():
    reference = {"a.wav": [event("bell", 100, 200)]}
    predicted = {"a.wav": [event("bell", 100, 200)] * 3}
    scores = detection_scores(reference, predicted, collar_s=0.1)
    assert scores == (0.5, 1 / 3, 1.0)


@pytest.mark.parametrize(
    ("true_ms", "found_ms", "hit"), [(0, 50, 1), (0, 51, 0), (50, 0, 1), (51, 0, 0)]
)
def test_collar_is_inclusive_on_both_sides(true_ms, found_ms, hit):
    reference, predicted = (
        {"a.wav": [event("bell", true_ms, 3000)]},
        {"a.wav": [event("bell", found_ms, 3000)]},
    )
    assert detection_scores(reference, predicted, collar_s=0.05)[0] == hit


@pytest.mark.parametrize(("end_ms", "hit"), [(1200, 1), (800, 1), (1201, 0), (799, 0)])
def test_end_may_be_off_by_a_share_of_the_true_length(end_ms, hit):
    # The true event lasts 1 s, so 20 % are 200 ms, whatever the length of the predicted one.
    reference = {"a.wav": [event("bell", 0, 1000)]}
    predicted = {"a.wav": [event("bell", 0, end_ms)]}
    scores = detection_scores(reference, predicted, collar_s=0.05, length_share=0.2)
    assert scores[0] == hit
    assert detection_scores(reference, predicted, collar_s=0.05)[0] == 1


@pytest.mark.parametrize(("end_ms", "hit"), [(149, 1), (151, 0)])
def test_end_may_always_be_off_by_the_collar(end_ms, hit):
    reference = {"a.wav": [event("bell", 0, 100)]}
    predicted = {"a.wav": [event("bell", 0, end_ms)]}
    scores = detection_scores(reference, predicted, collar_s=0.05, length_share=0.2)
    assert scores[0] == hit


def test_undefined_scores_are_zero():
    nothing, one = {"a.wav": []}, {"a.wav": [event("bell", 0, 100)]}
    zero = (0.0, 0.0, 0.0)
    assert detection_scores(one, nothing, collar_s=0.1) == zero
    assert detection_scores(nothing, one, collar_s=0.1) == zero
    assert detection_scores(nothing, nothing, collar_s=0.1) == zero
    assert detection_scores(one, {}, collar_s=0.1) == zero


def test_error_rate_by_hand():
    # Second 0: bell missed, door false: one substitution. Second 1: bell right, cough false: one
    # insertion. Second 2: door missed: one deletion. Three errors for three active labels.
    reference = {"a.wav": [event("bell", 500, 1500), event("door", 2000, 3000)]}
    predicted = {
        "a.wav": [event("door", 0, 1000), event("bell", 1100, 1200), event("cough", 1999, 2000)]
    }
    assert segment_error_rate(reference, predicted) == pytest.approx(1.0)
    assert segment_error_rate(reference, reference) == 0.0
    assert segment_error_rate(reference, {}) == 1.0


def test_error_rate_may_exceed_one():
    reference = {"a.wav": [event("bell", 0, 1000)]}
    predicted = {"a.wav": [event("bell", 0, 4000), event("door", 0, 1000)]}
    assert segment_error_rate(reference, predicted) == 4.0


def test_error_rate_needs_events():
    with pytest.raises(ValueError, match="no events"):
        segment_error_rate({"a.wav": []}, {"a.wav": []})
