"""Metrics of event tasks, with the values of sed_eval: counts are summed over files and labels.

An event is found if a predicted one of its label starts close enough (and, where asked, ends close
enough). Each event is matched once; as many as possible are.

Source:
    Mesaros et al., 2016, "Metrics for Polyphonic Sound Event Detection", Applied Sciences 6(6).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from byola_diff.evaluation.hear.events import LabelledEvent
from byola_diff.optional import require

EventsByFile = Mapping[str, Sequence[LabelledEvent]]


@dataclass(frozen=True)
class DetectionScores:
    """Share of predicted events that are right, of true events that are found, and their F."""

    f_measure: float
    precision: float
    recall: float


def detection_scores(
    reference: EventsByFile,
    predicted: EventsByFile,
    *,
    collar_s: float,
    length_share: float | None = None,
) -> DetectionScores:
    """F-measure, precision and recall over all files; 0 where undefined, as in HEAR.

    Args:
        reference: True events by file.
        predicted: Predicted events; a file that is not there has none.
        collar_s: How far the start may be off, inclusive.
        length_share: If given, the end counts too, and may be off by as much as the collar, or by
            this share of the length of the true event if that is more.

    Raises:
        ValueError: If there is a prediction for an unknown file.
    """
    _check_files(reference, predicted)
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


def segment_error_rate(
    reference: EventsByFile, predicted: EventsByFile, *, segment_s: float = 1.0
) -> float:
    """Errors on a time grid per true active label and segment; smaller is better, may exceed 1.

    A label is active in every segment that one of its events touches. In each segment a missed
    label and a false one make one substitution; what is left over are deletions or insertions.

    Raises:
        ValueError: If the reference has no events, or there is a prediction for an unknown file.
    """
    _check_files(reference, predicted)
    n_reference, n_errors = 0, 0
    for file, events in reference.items():
        true = _active_segments(events, segment_s)
        found = _active_segments(predicted.get(file, ()), segment_s)
        n_reference += len(true)
        missed = Counter(segment for _, segment in true - found)
        false = Counter(segment for _, segment in found - true)
        # The larger of the two in each segment: substitutions, and what is left over.
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
    """Events of one file that are found."""
    true, found = _by_label(reference), _by_label(predicted)
    return sum(
        _n_pairs(_close(true[label], found[label], collar_s, length_share))
        for label in true.keys() & found.keys()
    )


def _close(
    reference: Sequence[LabelledEvent],
    predicted: Sequence[LabelledEvent],
    collar_s: float,
    length_share: float | None,
) -> Bool[np.ndarray, "true found"]:
    # In seconds, as sed_eval is given them: on the limit, rounding decides.
    true, found = (
        np.array([(event.start_ms, event.end_ms) for event in events]) / 1000
        for events in (reference, predicted)
    )
    off = np.abs(true[:, None] - found[None])  # [true, found, start and end]
    close = off[..., 0] <= collar_s
    if length_share is not None:
        length = true[:, 1] - true[:, 0]
        close &= off[..., 1] <= np.maximum(collar_s, length_share * length)[:, None]
    return close


def _n_pairs(close: Bool[np.ndarray, "true found"]) -> int:
    """Size of the largest matching."""
    purpose = "the evaluation of event tasks"
    csr_array = require("scipy.sparse", "evaluate", purpose).csr_array
    graphs = require("scipy.sparse.csgraph", "evaluate", purpose)
    return int((graphs.maximum_bipartite_matching(csr_array(close)) >= 0).sum())


def _by_label(events: Sequence[LabelledEvent]) -> dict[str, list[LabelledEvent]]:
    groups = defaultdict(list)
    for event in events:
        groups[event.label].append(event)
    return groups


def _active_segments(events: Sequence[LabelledEvent], segment_s: float) -> set[tuple[str, int]]:
    """Pairs of label and number of the segment."""
    return {
        (event.label, segment)
        for event in events
        for segment in range(
            math.floor(event.start_ms / 1000 / segment_s),
            math.ceil(event.end_ms / 1000 / segment_s),
        )
    }


def _check_files(reference: EventsByFile, predicted: EventsByFile) -> None:
    if unknown := sorted(predicted.keys() - reference.keys()):
        raise ValueError(f"events are predicted for files that are not to be scored: {unknown[:5]}")
