"""Sound events: from the scores of frames to events, as HEAR's kit does it.

Median filter over time, threshold, merge, minimum duration. How strong the filter is and how short
an event may be is chosen on validation data, from a small grid.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

_THRESHOLD = 0.5


@dataclass(frozen=True)
class Event:
    """A sound with its label and times."""

    label: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, order=True)
class PostProcessing:
    """One cell of the grid."""

    median_filter_ms: float
    min_duration_ms: float

    def __post_init__(self) -> None:
        if not (0 <= self.median_filter_ms < np.inf and 0 <= self.min_duration_ms < np.inf):
            raise ValueError(f"times of the post-processing must be 0 or more, in ms: {self}")


DEFAULT_GRID = (PostProcessing(250.0, 125.0), PostProcessing(250.0, 250.0))

TASK_GRIDS = {"maestro": (PostProcessing(150.0, 50.0),)}
"""By `task_name`, for metadata without a grid of their own."""


def grid_from_metadata(entry: Any) -> tuple[PostProcessing, ...]:
    """All cells of `event_postprocessing_grid`, as in task_metadata.json.

    Raises:
        ValueError: If a key is missing or unknown, or a value is not a list of times in ms.
    """
    names = ("median_filter_ms", "min_duration")
    if not isinstance(entry, dict) or set(entry) != set(names):
        raise ValueError(f"event_postprocessing_grid must have {' and '.join(names)}: {entry}")
    for name in names:
        values = entry[name]
        if not isinstance(values, list) or not values or not all(_is_number(v) for v in values):
            raise ValueError(
                f"event_postprocessing_grid: {name} must be a list of ms, not {values}"
            )
    cells = itertools.product(*(entry[name] for name in names))
    return tuple(PostProcessing(float(median), float(least)) for median, least in cells)


def find_events(
    probability: Float[np.ndarray, "frame class"],
    times_ms: Float[np.ndarray, " frame"],
    labels: Sequence[str],
    processing: PostProcessing,
) -> tuple[Event, ...]:
    """Events of one file, by start.

    An event lasts from its first to its last frame above 0.5, so that of a single frame has no
    length. One frame alone is not filtered: it has no hop.

    Args:
        probability: In any order of time.
        times_ms: Of the frames.
        labels: Of the classes.
        processing: How to filter.

    Raises:
        ValueError: If a probability is NaN.
    """
    if np.isnan(probability).any():
        raise ValueError("scores of frames are NaN: did the training diverge?")
    order = np.argsort(times_ms, kind="stable")
    times_ms = times_ms[order]
    active = _median_filtered(probability[order], times_ms, processing) > _THRESHOLD
    events = [
        Event(labels[column], float(times_ms[first]), float(times_ms[last]))
        for column, first, last in _runs(active)
        if times_ms[last] - times_ms[first] >= processing.min_duration_ms
    ]
    return tuple(sorted(events, key=lambda event: event.start_ms))


def _median_filtered(
    probability: np.ndarray, times_ms: np.ndarray, processing: PostProcessing
) -> np.ndarray:
    if len(times_ms) < 2:
        return probability
    n_frames = round(processing.median_filter_ms / float(np.diff(times_ms).mean()))
    if n_frames < 2:
        return probability
    return _median_filter()(probability, size=(n_frames, 1))


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


def _median_filter() -> Callable[..., np.ndarray]:
    try:
        from scipy.ndimage import median_filter
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "event tasks need SciPy: pip install 'byola-diff[evaluate]'"
        ) from error
    return median_filter


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
