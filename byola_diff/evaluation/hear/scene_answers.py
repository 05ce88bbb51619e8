"""The labels of clips: what a probe of a scene task is trained on and scored by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from byola_diff.evaluation.hear.annotations import Annotation, Labels
from byola_diff.evaluation.hear.task_folder import HearTask
from byola_diff.probing import metrics


@dataclass(frozen=True)
class SceneAnswers:
    """Labels of some clips."""

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

    def loss(self, logits: Float[Tensor, "clip class"]) -> float:
        """The loss that the probe is trained by."""
        targets = self.targets.to(logits.device)
        if self.is_multiclass:
            return float(functional.cross_entropy(logits, targets))
        return float(functional.binary_cross_entropy_with_logits(logits, targets))

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
        if name == "chroma_acc":
            return metrics.chroma_accuracy(probability, target, _pitch(self.labels))
        return metrics.accuracy(probability, target)


_MACRO: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "mAP": metrics.mean_average_precision,
    "d_prime": metrics.d_prime,
    "aucroc": metrics.auc_roc,
}


def scene_answers(
    task: HearTask, files: Sequence[str], annotations: Sequence[Annotation]
) -> SceneAnswers:
    """Annotations of a scene task, in the form that probes need."""
    column_of = {label: column for column, label in enumerate(task.labels)}
    multi_hot = np.zeros((len(annotations), len(task.labels)), bool)
    for row, labels in enumerate(annotations):
        multi_hot[row, [column_of[str(label)] for label in labels]] = True
    is_multiclass = task.metadata.prediction_type == "multiclass"
    return SceneAnswers(files, task.labels, is_multiclass, multi_hot)


def _pitch(labels: Labels) -> np.ndarray | None:
    """Semitones, where labels are whole numbers: with gaps, the index would be another note."""
    return np.array([int(label) for label in labels]) if all(map(str.isdecimal, labels)) else None
