"""Sound events: from events to the targets of frames and back from their scores, and metrics.

As HEAR's kit: median filter over time, threshold, merge, minimum duration. How strong the filter is
and how short an event may be is chosen on validation data, from a small grid.

Metrics have the values of sed_eval: counts are summed over files and labels. An event is found if a
predicted one of its label starts close enough (and, where asked, ends close enough). Each event is
matched once; as many as possible are.

Source:
    Mesaros et al., 2016, "Metrics for Polyphonic Sound Event Detection", Applied Sciences 6(6).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32

from byola_diff.optional import require

_PURPOSE = "the evaluation of event tasks"
_THRESHOLD = 0.5
_END_MARGIN_MS = 0.0001  # HEAR's: a frame on the very end of an event belongs to it


@dataclass(frozen=True)
class LabelledEvent:
    """A sound of a recording: its label and its times."""

    label: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, order=True)
class PostProcessing:
    """One cell of the grid of filters and shortest events."""

    median_filter_ms: float
    min_duration_ms: float


DEFAULT_GRID = (PostProcessing(250.0, 125.0), PostProcessing(250.0, 250.0))

TASK_GRIDS = {"maestro": (PostProcessing(150.0, 50.0),)}
"""Grids by `task_name`, for metadata without a grid of their own."""

EventsByFile = Mapping[str, Sequence[LabelledEvent]]

DETECTION: dict[str, dict[str, float]] = {
    "event_onset_200ms_fms": {"collar_s": 0.2},
    "event_onset_50ms_fms": {"collar_s": 0.05},
    "event_onset_offset_50ms_20perc_fms": {"collar_s": 0.05, "length_share": 0.2},
}
"""Arguments of `detection_scores` by the names that HEAR has for its F-measures."""


def find_events(
    probability: Float[np.ndarray, "frame class"],
    times_ms: Float[np.ndarray, " frame"],
    labels: Sequence[str],
    processing: PostProcessing,
) -> tuple[LabelledEvent, ...]:
    """Events of one file, by start.

    An event lasts from its first to its last frame above 0.5, so that of a single frame has no
    length. One frame alone is not filtered: it has no hop. Frames, whose centres are `times_ms`,
    come in any order.

    Raises:
        ValueError: If a probability is NaN.
    """
    if np.isnan(probability).any():
        raise ValueError("scores of frames are NaN: did the training diverge?")
    order = np.argsort(times_ms, kind="stable")
    times_ms = times_ms[order]
    active = _median_filtered(probability[order], times_ms, processing) > _THRESHOLD
    events = [
        LabelledEvent(labels[column], float(times_ms[first]), float(times_ms[last]))
        for column, first, last in _runs(active)
        if times_ms[last] - times_ms[first] >= processing.min_duration_ms
    ]
    return tuple(sorted(events, key=lambda event: event.start_ms))


def frame_targets(
    times_ms: Float[np.ndarray, " frame"], events: Sequence[LabelledEvent], labels: Sequence[str]
) -> Float32[np.ndarray, "frame class"]:
    """1 where an event of the class is on, from its start to its end, both included; else 0."""
    column_of = {label: column for column, label in enumerate(labels)}
    targets = np.zeros((len(times_ms), len(labels)), np.float32)
    for event in events:
        on = (event.start_ms <= times_ms) & (times_ms < event.end_ms + _END_MARGIN_MS)
        targets[on, column_of[event.label]] = 1
    return targets


def detection_scores(
    reference: EventsByFile,
    predicted: EventsByFile,
    *,
    collar_s: float,
    length_share: float | None = None,
) -> tuple[float, float, float]:
    """F-measure, precision and recall over all files; 0 where undefined, as in HEAR.

    Args:
        reference: True events of all files that there are predictions for.
        predicted: A file that is not there has none.
        collar_s: How far the start may be off, inclusive.
        length_share: If given, the end counts too, and may be off by as much as the collar, or by
            this share of the length of the true event if that is more.
    """
    n_matched = sum(
        _n_matched(events, predicted.get(file, ()), collar_s, length_share)
        for file, events in reference.items()
    )
    n_reference = sum(map(len, reference.values()))
    n_predicted = sum(map(len, predicted.values()))
    if not n_matched:
        return 0.0, 0.0, 0.0
    f_measure = 2 * n_matched / (n_reference + n_predicted)
    return f_measure, n_matched / n_predicted, n_matched / n_reference


def segment_error_rate(reference: EventsByFile, predicted: EventsByFile) -> float:
    """Errors per true active label and second; smaller is better, may exceed 1.

    A label is active in every second that one of its events touches. In each second a missed label
    and a false one make one substitution; what is left over are deletions or insertions.

    Raises:
        ValueError: If the reference has no events.
    """
    n_reference, n_errors = 0, 0
    for file, events in reference.items():
        true, found = _active_seconds(events), _active_seconds(predicted.get(file, ()))
        n_reference += len(true)
        missed = Counter(second for _, second in true - found)
        false = Counter(second for _, second in found - true)
        # The larger of the two in each second: substitutions, and what is left over.
        n_errors += (missed | false).total()
    if not n_reference:
        raise ValueError("the error rate is undefined: the reference has no events")
    return n_errors / n_reference


def _median_filtered(
    probability: np.ndarray, times_ms: np.ndarray, processing: PostProcessing
) -> np.ndarray:
    if len(times_ms) < 2:
        return probability
    n_frames = round(processing.median_filter_ms / float(np.diff(times_ms).mean()))
    if n_frames < 2:
        return probability
    ndimage = require("scipy.ndimage", "evaluate", _PURPOSE)
    return ndimage.median_filter(probability, size=(n_frames, 1))


def _runs(active: np.ndarray) -> list[tuple[int, int, int]]:
    """Class, first and last frame of each run of active frames."""
    silence = np.zeros((1, active.shape[1]), bool)
    change = np.diff(np.concatenate([silence, active, silence]).astype(np.int8), axis=0)
    # By class, then by time: starts and ends come in the same order.
    starts, ends = np.argwhere(change.T == 1), np.argwhere(change.T == -1)
    return [
        (int(column), int(first), int(end) - 1)
        for (column, first), (_, end) in zip(starts, ends, strict=True)
    ]


def _n_matched(
    reference: Sequence[LabelledEvent],
    predicted: Sequence[LabelledEvent],
    collar_s: float,
    length_share: float | None,
) -> int:
    """Events of one file that are found: the size of the largest matching, summed over labels."""
    csr_array = require("scipy.sparse", "evaluate", _PURPOSE).csr_array
    graphs = require("scipy.sparse.csgraph", "evaluate", _PURPOSE)
    true, found = _times_s(reference), _times_s(predicted)
    matchings = [
        graphs.maximum_bipartite_matching(
            csr_array(_close(true[label], found[label], collar_s, length_share))
        )
        for label in true.keys() & found.keys()
    ]
    return sum(int((matching >= 0).sum()) for matching in matchings)


def _times_s(events: Sequence[LabelledEvent]) -> dict[str, Float[np.ndarray, "event 2"]]:
    """Starts and ends by label."""
    times_ms = defaultdict(list)
    for event in events:
        times_ms[event.label].append((event.start_ms, event.end_ms))
    # In seconds, as sed_eval is given them: on the limit, rounding decides.
    return {label: np.array(times) / 1000 for label, times in times_ms.items()}


def _close(
    true: Float[np.ndarray, "true 2"],
    found: Float[np.ndarray, "found 2"],
    collar_s: float,
    length_share: float | None,
) -> Bool[np.ndarray, "true found"]:
    off = np.abs(true[:, None] - found[None])  # [true, found, start and end]
    close = off[..., 0] <= collar_s
    if length_share is not None:
        length = true[:, 1] - true[:, 0]
        close &= off[..., 1] <= np.maximum(collar_s, length_share * length)[:, None]
    return close


def _active_seconds(events: Sequence[LabelledEvent]) -> set[tuple[str, int]]:
    """Pairs of label and number of the second."""
    return {
        (event.label, second)
        for event in events
        for second in range(math.floor(event.start_ms / 1000), math.ceil(event.end_ms / 1000))
    }
