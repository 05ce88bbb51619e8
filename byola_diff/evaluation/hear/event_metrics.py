"""Metrics of event tasks, with the values of sed_eval: counts are summed over files and labels.

An event is found if a predicted one of its label starts close enough (and, where asked, ends close
enough). Each event is matched once; as many as possible are.

Source:
    Mesaros et al., 2016, "Metrics for Polyphonic Sound Event Detection", Applied Sciences 6(6).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from byola_diff.evaluation.hear.events import LabelledEvent
from byola_diff.optional import require

EventsByFile = Mapping[str, Sequence[LabelledEvent]]

DETECTION: dict[str, dict[str, float]] = {
    "event_onset_200ms_fms": {"collar_s": 0.2},
    "event_onset_50ms_fms": {"collar_s": 0.05},
    "event_onset_offset_50ms_20perc_fms": {"collar_s": 0.05, "length_share": 0.2},
}
"""Arguments of `detection_scores` by the names that HEAR has for its F-measures."""


class DetectionScores(NamedTuple):
    """Of events over all files, in 0..1."""

    f_measure: float
    precision: float
    """Share of predicted events that are right."""
    recall: float
    """Share of true events that are found."""


def detection_scores(
    reference: EventsByFile,
    predicted: EventsByFile,
    *,
    collar_s: float,
    length_share: float | None = None,
) -> DetectionScores:
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
        return DetectionScores(0.0, 0.0, 0.0)
    return DetectionScores(
        f_measure=2 * n_matched / (n_reference + n_predicted),
        precision=n_matched / n_predicted,
        recall=n_matched / n_reference,
    )


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


def _n_matched(
    reference: Sequence[LabelledEvent],
    predicted: Sequence[LabelledEvent],
    collar_s: float,
    length_share: float | None,
) -> int:
    """Events of one file that are found: the size of the largest matching, summed over labels."""
    purpose = "the evaluation of event tasks"
    csr_array = require("scipy.sparse", "evaluate", purpose).csr_array
    graphs = require("scipy.sparse.csgraph", "evaluate", purpose)
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
