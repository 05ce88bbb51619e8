"""Sound events: from events to the targets of frames, and from their scores back, as HEAR's kit.

Median filter over time, threshold, merge, minimum duration. How strong the filter is and how short
an event may be is chosen on validation data, from a small grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from byola_diff.optional import require

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


def _median_filtered(
    probability: np.ndarray, times_ms: np.ndarray, processing: PostProcessing
) -> np.ndarray:
    if len(times_ms) < 2:
        return probability
    n_frames = round(processing.median_filter_ms / float(np.diff(times_ms).mean()))
    if n_frames < 2:
        return probability
    ndimage = require("scipy.ndimage", "evaluate", "the evaluation of event tasks")
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
