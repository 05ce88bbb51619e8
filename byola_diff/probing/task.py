"""Linear evaluation of one task: every learning rate, seed and fold, and the test at the very end.

The learning rate is chosen for each fold by its own validation clips. Labels of test clips are
asked for once, after everything has been trained and chosen.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.probing.metrics import accuracy, mean_average_precision
from byola_diff.probing.parts import (
    Metric,
    Part,
    TargetsOf,
    carve_stratified,
    carve_validation,
    manifest_targets,
    probe_parts,
)
from byola_diff.probing.protocols import LinearProtocol, ProbeSettings
from byola_diff.probing.stacks import Targets, probe_loss
from byola_diff.probing.standard import mean_and_deviation
from byola_diff.probing.trainer import Judge, TrainedProbe, train_probes
from byola_diff.progress import progress
from byola_diff.tables.manifest import Manifest

Scale = Callable[[Float[np.ndarray, "clip dim"]], Float[Tensor, "clip dim"]]
"""Standardises embeddings and takes them to the device."""


@dataclass(frozen=True)
class ProbeResult:
    """Test scores of a task, in 0..1, and what was chosen on validation clips."""

    scores: dict[str, dict[str, float]]
    """By "seed 42", "seed 43", ... and by part ("test", or "fold 1")."""
    learning_rates: dict[str, float]
    """Chosen, by part."""
    validation: dict[str, dict[float, float]]
    """By part and learning rate: what was monitored, as the mean over the seeds."""


def probe_task(
    embeddings: Float[np.ndarray, "clip dim"],
    manifest: Manifest,
    metric: Metric,
    protocol: LinearProtocol,
    device: torch.device | str = "cpu",
) -> ProbeResult:
    """Train all probes of a task and test those chosen on validation clips.

    `embeddings` are those of the clips of the manifest, in their order. The metric is what is
    reported, and monitored where the protocol monitors the score. Probes are trained on `device`.

    Raises:
        ValueError: If the manifest can't be probed, an embedding is not finite, or no learning rate
            gives a finite score.
    """
    targets_of, n_classes = manifest_targets(manifest, metric), len(manifest.classes)
    parts = probe_parts(manifest, metric)
    probes = _TaskProbes(embeddings, targets_of, n_classes, metric, protocol, device)
    total = len(parts) * len(protocol.seeds)
    with progress(total=total, unit="stacks of probes", leave=False) as bar:
        chosen = {part.name: probes.choose(part, bar.update) for part in parts}
    # Only here are the labels of test clips looked at.
    tested = {part.name: probes.test(part, chosen[part.name]) for part in parts}
    scores = {
        f"seed {seed}": {name: by_seed[seed] for name, by_seed in tested.items()}
        for seed in protocol.seeds
    }
    return ProbeResult(
        scores,
        {name: choice.learning_rate for name, choice in chosen.items()},
        {name: choice.validation for name, choice in chosen.items()},
    )


@dataclass(frozen=True)
class _Choice:
    """What was chosen for one part, on validation clips."""

    learning_rate: float
    probes: dict[int, TrainedProbe]
    """By seed."""
    validation: dict[float, float]
    """By learning rate, the mean over the seeds."""
    scale: Scale


@dataclass(frozen=True)
class _TaskProbes:
    """A task, and how to train and test probes on it."""

    embeddings: Float[np.ndarray, "clip dim"]
    targets_of: TargetsOf
    n_classes: int
    metric: Metric
    protocol: LinearProtocol
    device: torch.device | str

    def choose(self, part: Part, done: Callable[[], object]) -> _Choice:
        """Train probes of all learning rates and seeds; of equal rates the smallest is chosen."""
        scale = _standardisation(self.embeddings[part.train], self.device)
        trained = {}
        for seed in self.protocol.seeds:
            trained[seed] = self._train(part, scale, seed)
            done()
        rates = self.protocol.learning_rates
        means = {
            rate: float(np.mean([probes[place].best_score for probes in trained.values()]))
            for place, rate in enumerate(rates)
        }
        best = max(means, key=lambda rate: (means[rate], -rate))
        if not np.isfinite(means[best]):
            raise ValueError(f"{part.name}: no learning rate gave a finite validation score")
        chosen = {seed: probes[rates.index(best)] for seed, probes in trained.items()}
        return _Choice(best, chosen, means, scale)

    def test(self, part: Part, choice: _Choice) -> dict[int, float]:
        """Test scores by seed."""
        test = choice.scale(self.embeddings[part.test])
        true = self.targets_of(part.test)
        return {
            seed: _score(probe.logits(test).cpu(), true, self.metric)
            for seed, probe in choice.probes.items()
        }

    def _train(self, part: Part, scale: Scale, seed: int) -> list[TrainedProbe]:
        """Probes of all learning rates."""
        train, valid = part.train, part.valid
        if not len(valid):
            carve = carve_stratified if self.protocol.stratified else carve_validation
            train, valid = carve(part, self.targets_of, self.protocol.valid_share, seed)
        return train_probes(
            scale(self.embeddings[train]),
            self.targets_of(train).to(self.device),
            scale(self.embeddings[valid]),
            _judge(self.targets_of(valid).to(self.device), self.metric, self.protocol),
            [ProbeSettings(rate, seed) for rate in self.protocol.learning_rates],
            self.protocol.rules,
            self.n_classes,
        )


def _standardisation(train: Float[np.ndarray, "clip dim"], device: torch.device | str) -> Scale:
    """Zero mean and unit deviation over all training clips, those carved out to validate too."""
    mean, deviation = (each.astype(np.float32) for each in mean_and_deviation(train))

    def scale(embeddings: Float[np.ndarray, "clip dim"]) -> Float[Tensor, "clip dim"]:
        standard = (embeddings - mean) / deviation
        return torch.from_numpy(standard.astype(np.float32, copy=False)).to(device)

    return scale


def _judge(true: Targets, metric: Metric, protocol: LinearProtocol) -> Judge:
    if protocol.monitor == "score":
        return lambda logits: _score(logits, true, metric)
    return lambda logits: -probe_loss(logits, true).item()


def _score(logits: Tensor, true: Targets, metric: Metric) -> float:
    if not logits.isfinite().all():
        return float("-inf")  # diverged: never chosen, never an improvement
    score = accuracy if metric == "accuracy" else mean_average_precision
    return score(logits.cpu().numpy(), true.cpu().numpy())
