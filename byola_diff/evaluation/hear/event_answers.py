"""The events of files: what a probe of an event task is trained on and scored by."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from byola_diff.evaluation.hear.annotations import Annotation, Labels
from byola_diff.evaluation.hear.event_metrics import (
    EventsByFile,
    detection_scores,
    segment_error_rate,
)
from byola_diff.evaluation.hear.events import (
    LabelledEvent,
    PostProcessing,
    find_events,
    frame_targets,
)
from byola_diff.evaluation.hear.task_folder import HearTask
from byola_diff.scores.task_names import LOWER_IS_BETTER

_DETECTION: dict[str, dict[str, float]] = {
    "event_onset_200ms_fms": {"collar_s": 0.2},
    "event_onset_50ms_fms": {"collar_s": 0.05},
    "event_onset_offset_50ms_20perc_fms": {"collar_s": 0.05, "length_share": 0.2},
}


@dataclass(frozen=True)
class EventAnswers:
    """Events of some files, whose frames come file after file."""

    events: EventsByFile
    times_ms: Sequence[np.ndarray]
    """Centres of the frames of each file."""
    labels: Labels
    """Names of the columns."""
    grid: Sequence[PostProcessing]
    """To choose from, on validation files; a single cell on test files."""

    @cached_property
    def targets(self) -> Float[Tensor, "frame class"]:
        """1 where an event is on."""
        files = zip(self.times_ms, self.events.values(), strict=True)
        frames = [frame_targets(times_ms, events, self.labels) for times_ms, events in files]
        return torch.from_numpy(np.concatenate(frames))

    def loss(self, logits: Float[Tensor, "frame class"]) -> float:
        """The loss that the probe is trained by."""
        targets = self.targets.to(logits.device)
        return float(functional.binary_cross_entropy_with_logits(logits, targets))

    def best_processing(self, logits: Float[Tensor, "frame class"], metric: str) -> PostProcessing:
        """The cell of the grid with the best metric; of equal ones, the one that filters most."""
        return max((self._score(metric, self._events(logits, cell)), cell) for cell in self.grid)[1]

    def scores(
        self, logits: Float[Tensor, "frame class"], names: Sequence[str]
    ) -> dict[str, float]:
        """The metrics called `names`, with the cell that is best for the first of them."""
        cell = self.grid[0] if len(self.grid) == 1 else self.best_processing(logits, names[0])
        predicted = self._events(logits, cell)
        return {
            key: value for name in names for key, value in self._values(name, predicted).items()
        }

    def predictions(self, logits: Float[Tensor, "frame class"]) -> dict[str, Any]:
        """Events by file, as the only cell of the grid finds them."""
        [cell] = self.grid
        found = self._events(logits, cell)
        return {file: [asdict(event) for event in events] for file, events in found.items()}

    def _score(self, name: str, predicted: EventsByFile) -> float:
        """Larger is better."""
        value = self._values(name, predicted)[name]
        return -value if name in LOWER_IS_BETTER else value

    def _values(self, name: str, predicted: EventsByFile) -> dict[str, float]:
        """A metric; of F-measures, precision and recall too."""
        if name not in _DETECTION:
            return {name: segment_error_rate(self.events, predicted)}
        found = detection_scores(self.events, predicted, **_DETECTION[name])
        return {
            name: found.f_measure,
            f"{name}_precision": found.precision,
            f"{name}_recall": found.recall,
        }

    def _events(
        self, logits: Float[Tensor, "frame class"], processing: PostProcessing
    ) -> dict[str, tuple[LabelledEvent, ...]]:
        probability = logits.detach().double().sigmoid().cpu().numpy()
        ends = np.cumsum([len(times_ms) for times_ms in self.times_ms])
        by_file = np.split(probability, ends[:-1])
        return {
            file: find_events(frames, times_ms, self.labels, processing)
            for file, frames, times_ms in zip(self.events, by_file, self.times_ms, strict=True)
        }


def event_answers(
    task: HearTask,
    files: Sequence[str],
    annotations: Sequence[Annotation],
    times_ms: Sequence[np.ndarray],
    grid: Sequence[PostProcessing],
) -> EventAnswers:
    """Annotations of an event task, in the form that probes need."""
    events = {
        file: tuple(event for event in annotation if isinstance(event, LabelledEvent))
        for file, annotation in zip(files, annotations, strict=True)
    }
    return EventAnswers(events, times_ms, task.labels, grid)
