"""Embeddings of a HEAR task, and the probes that are trained, chosen and tested on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from byola_diff.embeddings.extract import ExtractionOptions, embed
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.hear.answers import EventAnswers, SceneAnswers, rating
from byola_diff.evaluation.hear.events import PostProcessing
from byola_diff.evaluation.hear.grid import GridPoint
from byola_diff.evaluation.hear.task_folder import Fold, HearTask
from byola_diff.probing.trainer import TrainedProbe, train_probes
from byola_diff.tables.preprocessing import Preprocessing

SEED = 42
"""Draws the weights and batches of the probes."""


@dataclass(frozen=True)
class FoldResult:
    """One probe, tested once."""

    scores: Mapping[str, float]
    """Scores of the test split by metric, the primary one first."""
    valid_score: float
    """What the probe was selected by; larger is better."""
    best_epoch: int
    processing: PostProcessing | None
    """For events, as chosen on the validation split."""
    predictions: Mapping[str, Any]
    """Probabilities of all labels, or events, by file of the test split."""


@dataclass(frozen=True)
class TaskProbes:
    """Embeddings of all splits, and how to train and test probes on them."""

    task: HearTask
    embeddings: Mapping[str, Float32[Tensor, "row dim"]]
    """By split, a row for each clip; for events, one for each frame, file after file."""
    times_ms: Mapping[str, Sequence[np.ndarray]]
    """For events, by split: centres of the frames of each file."""
    device: torch.device | str
    shuffle: bool

    def train(self, fold: Fold, points: Sequence[GridPoint]) -> dict[GridPoint, TrainedProbe]:
        """A probe for each point, selected on the validation split."""
        metadata = self.task.metadata
        targets = self._answers(fold.train).targets.to(self.device)
        parts = [self.embeddings[split] for split in fold.train]
        # A single one is not copied.
        train = (parts[0] if len(parts) == 1 else torch.cat(parts)).to(self.device)
        valid = self.embeddings[fold.valid].to(self.device)
        metric = metadata.metrics[0] if metadata.selects_by_score else None
        judge = partial(rating, self._answers([fold.valid]), metric=metric)
        probes: dict[GridPoint, TrainedProbe] = {}
        for rules in dict.fromkeys(point.rules(self.shuffle) for point in points):
            together = [point for point in points if point.rules(self.shuffle) == rules]
            settings = [point.probe(SEED) for point in together]
            n_classes = len(self.task.labels)
            trained = train_probes(train, targets, valid, judge, settings, rules, n_classes)
            probes.update(zip(together, trained, strict=True))
        if all(np.isneginf(probe.best_score) for probe in probes.values()):
            raise ValueError(
                f"{metadata.name}: no probe could be scored on {fold.valid!r}: either every "
                "training diverged, or none reached its first look at the validation part"
            )
        return probes

    def test(self, fold: Fold, probe: TrainedProbe) -> FoldResult:
        """Scores on the test split, whose labels are read here and only here."""
        metrics = self.task.metadata.metrics
        valid, processing = self._answers([fold.valid]), None
        if isinstance(valid, EventAnswers):
            logits = probe.logits(self.embeddings[fold.valid].to(self.device))
            processing = valid.best_processing(logits, metrics[0])
        logits = probe.logits(self.embeddings[fold.test].to(self.device))
        answers = self._answers([fold.test], processing)
        return FoldResult(
            scores=answers.scores(logits, metrics),
            valid_score=probe.best_score,
            best_epoch=probe.best_epoch,
            processing=processing,
            predictions=answers.predictions(logits),
        )

    def _answers(
        self, splits: Sequence[str], processing: PostProcessing | None = None
    ) -> SceneAnswers | EventAnswers:
        """Labels or events of splits; the grid is to choose from unless a cell is given."""
        metadata, labels = self.task.metadata, self.task.labels
        answers: dict[str, Any] = {}
        for split in splits:
            answers |= self.task.answers(split)
        if metadata.embedding_type == "scene":
            column_of = {label: column for column, label in enumerate(labels)}
            multi_hot = np.zeros((len(answers), len(labels)), bool)
            for row, given in enumerate(answers.values()):
                multi_hot[row, [column_of[label] for label in given]] = True
            is_multiclass = metadata.prediction_type == "multiclass"
            return SceneAnswers(list(answers), labels, is_multiclass, multi_hot)
        times_ms = [times for split in splits for times in self.times_ms[split]]
        grid = (processing,) if processing else metadata.post_processing
        return EventAnswers(answers, times_ms, labels, grid)


def embed_task(
    task: HearTask, named: NamedEncoder, extraction: ExtractionOptions, shuffle: bool
) -> TaskProbes:
    """Embeddings of all splits, of whole clips. No label is looked at. Raises what `embed` does."""
    manifest = task.manifest(named.encoder.sample_rate)
    sizes = {split: len(files) for split, files in task.annotations.items()}
    extracted = embed(named, manifest, task.readout, Preprocessing(), extraction)
    if task.readout == "scene":
        parts = extracted.scene.split(list(sizes.values()))
        embeddings = dict(zip(sizes, parts, strict=True))
        return TaskProbes(task, embeddings, {}, extraction.device, shuffle)
    files, embeddings, times_ms = extracted.pop_timestamps(), {}, {}
    for split, size in sizes.items():
        frames, centers_ms = zip(*islice(files, size), strict=True)
        embeddings[split] = torch.cat(frames)
        times_ms[split] = [each.double().numpy() for each in centers_ms]
        del frames  # before those of the next split: a task can fill the memory
    return TaskProbes(task, embeddings, times_ms, extraction.device, shuffle)
