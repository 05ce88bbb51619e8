import numpy as np
import pytest
from scipy.signal import medfilt

from byola_diff.evaluation.hear.events import (
    LabelledEvent,
    PostProcessing,
    find_events,
    frame_targets,
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
