"""Which events are on at each timestamp: the targets of event tasks."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32

from byola_diff.evaluation.hear.events import Event

_END_MARGIN_MS = 0.0001  # HEAR's: a frame on the very end of an event belongs to it


def frame_targets(
    times_ms: Float[np.ndarray, " frame"], events: Sequence[Event], labels: Sequence[str]
) -> Float32[np.ndarray, "frame class"]:
    """1 where an event of the class is on, else 0.

    An event is on from its start to its end, both included.

    Raises:
        ValueError: If an event has a label that is not among `labels`.
    """
    column_of = {label: column for column, label in enumerate(labels)}
    targets = np.zeros((len(times_ms), len(labels)), np.float32)
    for event in events:
        if event.label not in column_of:
            raise ValueError(f"{event} has a label outside the vocabulary")
        on = (event.start_ms <= times_ms) & (times_ms < event.end_ms + _END_MARGIN_MS)
        targets[on, column_of[event.label]] = 1
    return targets
