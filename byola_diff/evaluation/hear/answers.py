"""Labels or events of some clips: what the probes of a task are trained on and scored by."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from byola_diff.evaluation.hear.events import (
    DETECTION,
    EventsByFile,
    LabelledEvent,
    PostProcessing,
    detection_scores,
    find_events,
    frame_targets,
    segment_error_rate,
)
from byola_diff.evaluation.hear.task_folder import Labels
from byola_diff.probing import metrics
from byola_diff.probing.stacks import probe_loss
from byola_diff.scores.task_names import lower_is_better

_MACRO: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "mAP": metrics.mean_average_precision,
    "d_prime": metrics.d_prime,
    "aucroc": metrics.auc_roc,
}


@dataclass(frozen=True)
class SceneAnswers:
    """Labels of clips."""

    files: Sequence[str]
    labels: Labels
    """Names of the columns."""
    is_multiclass: bool
    multi_hot: Bool[np.ndarray, "clip class"]

    @cached_property
    def targets(self) -> Tensor:
        """Class of each clip, or ones and zeros where a clip may have several labels."""
        if self.is_multiclass:
            return torch.from_numpy(self.multi_hot.argmax(axis=1))
        return torch.from_numpy(self.multi_hot).float()

    def scores(self, logits: Float[Tensor, "clip class"], names: Sequence[str]) -> dict[str, float]:
        """The metrics called `names`."""
        probability = self._probability(logits)
        return {name: self._score(name, probability) for name in names}

    def predictions(self, logits: Float[Tensor, "clip class"]) -> dict[str, Any]:
        """Probabilities of all labels by file."""
        return dict(zip(self.files, self._probability(logits).tolist(), strict=True))

    def _probability(self, logits: Tensor) -> np.ndarray:
        # In double precision: confident clips would tie at 1.
        logits = logits.detach().double().cpu()
        return (logits.softmax(dim=1) if self.is_multiclass else logits.sigmoid()).numpy()

    def _score(self, name: str, probability: np.ndarray) -> float:
        if name in _MACRO:
            return _MACRO[name](probability, self.multi_hot)
        # Differs from HEAR's kit, where a clip without any label is of the first class.
        labelled = self.multi_hot.any(axis=1)
        # Of a clip with several labels, HEAR's accuracies take the first.
        probability, target = probability[labelled], self.multi_hot[labelled].argmax(axis=1)
        if name != "chroma_acc":
            return metrics.accuracy(probability, target)
        # Where labels are whole numbers they are semitones: with gaps, the index is another note.
        are_pitches = all(map(str.isdecimal, self.labels))
        pitch = np.array([int(label) for label in self.labels]) if are_pitches else None
        return metrics.chroma_accuracy(probability, target, pitch)


@dataclass(frozen=True)
class EventAnswers:
    """Events of files, whose frames come file after file."""

    events: EventsByFile
    times_ms: Sequence[np.ndarray]
    """Centres of the frames of each file."""
    labels: Labels
    grid: Sequence[PostProcessing]
    """To choose from, on validation files; a single cell on test files."""

    @cached_property
    def targets(self) -> Float[Tensor, "frame class"]:
        """1 where an event is on."""
        files = zip(self.times_ms, self.events.values(), strict=True)
        frames = [frame_targets(times_ms, events, self.labels) for times_ms, events in files]
        return torch.from_numpy(np.concatenate(frames))

    def best_processing(self, logits: Float[Tensor, "frame class"], metric: str) -> PostProcessing:
        """The cell of the grid with the best metric; of equal ones, the one that filters most."""
        if len(self.grid) == 1:
            return self.grid[0]
        found = {cell: self._scores(metric, self._events(logits, cell)) for cell in self.grid}
        return max(self.grid, key=lambda cell: (_rated(metric, found[cell][metric]), cell))

    def scores(
        self, logits: Float[Tensor, "frame class"], names: Sequence[str]
    ) -> dict[str, float]:
        """Metrics with the cell that is best for the first; of F, precision and recall too."""
        predicted = self._events(logits, self.best_processing(logits, names[0]))
        scores: dict[str, float] = {}
        for name in names:
            scores |= self._scores(name, predicted)
        return scores

    def predictions(self, logits: Float[Tensor, "frame class"]) -> dict[str, Any]:
        """Events by file, as the only cell of the grid finds them."""
        [cell] = self.grid
        found = self._events(logits, cell)
        return {file: [asdict(event) for event in events] for file, events in found.items()}

    def _scores(self, name: str, predicted: EventsByFile) -> dict[str, float]:
        if name not in DETECTION:
            return {name: segment_error_rate(self.events, predicted)}
        found = detection_scores(self.events, predicted, **DETECTION[name])
        names = (name, f"{name}_precision", f"{name}_recall")
        return dict(zip(names, found, strict=True))

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


def rating(
    answers: SceneAnswers | EventAnswers, logits: Float[Tensor, "row class"], metric: str | None
) -> float:
    """How good logits are by a metric, or by the loss of the training if None; larger is better."""
    if not logits.isfinite().all():
        return -math.inf
    if metric is not None:
        return _rated(metric, answers.scores(logits, [metric])[metric])
    return -probe_loss(logits, answers.targets.to(logits.device)).item()


def _rated(metric: str, value: float) -> float:
    return -value if lower_is_better(metric) else value
