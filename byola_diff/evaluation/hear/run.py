"""The HEAR protocol: an MLP on frozen embeddings, its hyper-parameters chosen on validation data.

The grid is searched on the first fold; the winner is trained again for every other fold. The labels
of a test split are asked for when the probe that is tested on it has been chosen, and not before.

Embeddings are not standardised, as in HEAR's kit. Nor are clips shuffled anew in each epoch, unless
it is asked for: the kit means to, but compares a list with a word.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from byola_diff.atomic import write_text
from byola_diff.audio.resample import resampler_name
from byola_diff.embeddings.extract import ExtractionOptions
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.hear.event_answers import EventAnswers, event_answers
from byola_diff.evaluation.hear.events import PostProcessing
from byola_diff.evaluation.hear.features import TaskFeatures, embed_task
from byola_diff.evaluation.hear.grid import GridName, GridPoint, hyperparameter_grid
from byola_diff.evaluation.hear.result import FoldResult, HearResult
from byola_diff.evaluation.hear.scene_answers import SceneAnswers, scene_answers
from byola_diff.evaluation.hear.task_folder import Fold, HearTask
from byola_diff.probing.protocols import TrainingRules
from byola_diff.probing.trainer import TrainedProbe, train_probes
from byola_diff.scores.task_names import LOWER_IS_BETTER

_SEED = 42

ProbeTrainer = Callable[..., list[TrainedProbe]]
"""As `train_probes`."""


def run_hear_task(
    task: HearTask,
    named: NamedEncoder,
    extraction: ExtractionOptions,
    *,
    grid: GridName = "default",
    n_points: int = 8,
    seed: int = _SEED,
    shuffle: bool = False,
    train: ProbeTrainer = train_probes,
    predictions: Path | None = None,
) -> HearResult:
    """Test scores of an encoder on a task, by all metrics of the task.

    Args:
        task: What to evaluate on.
        named: The encoder, which is already on the device of `extraction`.
        extraction: How clips are embedded. Probes are trained on the same device.
        grid: Hyper-parameters to choose from; "default" is HEAR's.
        n_points: How many combinations of them to try.
        seed: Draws the weights and batches of the probes.
        shuffle: Whether each epoch has an order of its own; the kit keeps one order throughout.
        train: Trains the probes.
        predictions: A JSON file to write the predictions for the test splits to.

    Raises:
        ValueError: If an embedding is NaN, or no probe could be scored on the validation split.
    """
    metadata = task.metadata
    points = hyperparameter_grid(grid, metadata.task_name, metadata.grid_overrides, n_points)
    features = embed_task(task, named, extraction)
    probing = _TaskProbes(task, features, seed, shuffle, extraction.device, train)
    first, *others = task.folds()
    tried = probing.train(first, points)
    # Of equally good ones the first tried wins, as in the kit.
    best = max(range(len(points)), key=lambda place: tried[place].best_score)
    probes = {first: tried[best]}
    for fold in others:
        [probes[fold]] = probing.train(fold, [points[best]])
    folds = {fold.test: probing.test(fold, probe) for fold, probe in probes.items()}
    rate = task.rate_for(named.encoder.sample_rate)
    result = HearResult(
        task=metadata.name,
        encoder=named.name,
        primary=metadata.metrics[0],
        selected_by=metadata.metrics[0] if metadata.selects_by_score else "loss",
        chosen=points[best],
        searched=tuple(zip(points, [probe.best_score for probe in tried], strict=True)),
        folds=folds,
        audio_rate=rate,
        resampler=None if rate == named.encoder.sample_rate else resampler_name(),
        conditions={
            "grid": grid,
            "n_points": n_points,
            "seed": seed,
            "shuffle": shuffle,
            "precision": extraction.resolved_precision,
            "device": extraction.device_type,
        },
    )
    if predictions is not None:
        _write_predictions(predictions, task, result)
    return result


@dataclass(frozen=True)
class _TaskProbes:
    """Embeddings of a task, and how to train and test probes on them."""

    task: HearTask
    features: TaskFeatures
    seed: int
    shuffle: bool
    device: torch.device | str
    trainer: ProbeTrainer

    def train(self, fold: Fold, points: Sequence[GridPoint]) -> list[TrainedProbe]:
        """A probe for each point, selected on the validation split."""
        targets = self._answers(fold.train).targets.to(self.device)
        train, valid = self._embeddings(fold.train), self._embeddings((fold.valid,))
        judge = self._judge(self._answers((fold.valid,)))
        groups: dict[TrainingRules, list[int]] = {}
        for place, point in enumerate(points):
            groups.setdefault(point.rules(self.shuffle), []).append(place)
        probes: dict[int, TrainedProbe] = {}
        for rules, places in groups.items():
            settings = [points[place].probe(self.seed) for place in places]
            n_classes = len(self.task.labels)
            trained = self.trainer(train, targets, valid, judge, settings, rules, n_classes)
            probes.update(zip(places, trained, strict=True))
        if all(probe.best_score == -math.inf for probe in probes.values()):
            raise ValueError(
                f"{self.task.metadata.name}: no probe could be scored on {fold.valid!r}: either "
                "every training diverged, or none reached its first look at the validation part"
            )
        return [probes[place] for place in range(len(points))]

    def test(self, fold: Fold, probe: TrainedProbe) -> FoldResult:
        """Scores on the test split, whose labels are read here and only here."""
        primary = self.task.metadata.metrics[0]
        valid, processing = self._answers((fold.valid,)), None
        if isinstance(valid, EventAnswers):
            logits = probe.logits(self._embeddings((fold.valid,)))
            processing = valid.best_processing(logits, primary)
        logits = probe.logits(self._embeddings((fold.test,)))
        answers = self._answers((fold.test,), processing)
        return FoldResult(
            scores=answers.scores(logits, self.task.metadata.metrics),
            valid_score=probe.best_score,
            best_epoch=probe.best_epoch,
            processing=processing,
            predictions=answers.predictions(logits),
        )

    def _judge(self, answers: SceneAnswers | EventAnswers) -> Callable[[Tensor], float]:
        """How good logits of the validation split are; larger is better."""
        primary = self.task.metadata.metrics[0]
        sign = -1 if primary in LOWER_IS_BETTER else 1

        def judge(logits: Tensor) -> float:
            if not logits.isfinite().all():
                return -math.inf
            if not self.task.metadata.selects_by_score:
                return -answers.loss(logits)
            return sign * answers.scores(logits, [primary])[primary]

        return judge

    def _answers(
        self, splits: Sequence[str], processing: PostProcessing | None = None
    ) -> SceneAnswers | EventAnswers:
        """Labels or events of splits; the grid is to choose from unless a cell is given."""
        files = [file for split in splits for file in self.task.files[split]]
        annotations = [answer for split in splits for answer in self.task.answers(split)]
        if self.task.metadata.embedding_type == "scene":
            return scene_answers(self.task, files, annotations)
        times_ms = self.features.times_ms(splits)
        grid = (processing,) if processing else self.task.metadata.post_processing
        return event_answers(self.task, files, annotations, times_ms, grid)

    def _embeddings(self, splits: Sequence[str]) -> Tensor:
        return self.features.embeddings(splits).to(self.device)


def _write_predictions(path: Path, task: HearTask, result: HearResult) -> None:
    content = {
        "task": result.task,
        "encoder": result.encoder,
        "labels": task.labels,
        "folds": {test: fold.predictions for test, fold in result.folds.items()},
    }
    write_text(path, json.dumps(content) + "\n")
