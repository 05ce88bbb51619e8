"""Linear evaluation of one task: every learning rate, seed and fold, and the test at the very end.

The learning rate is chosen for each fold by its own validation clips. Labels of test clips are
asked for once, after everything has been trained and chosen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from byola_diff.data.manifest import Manifest
from byola_diff.evaluation.metrics import accuracy, mean_average_precision
from byola_diff.evaluation.probes.linear_stack import Targets
from byola_diff.evaluation.probes.parts import Part
from byola_diff.evaluation.probes.protocols import LinearProtocol
from byola_diff.evaluation.probes.settings import ProbeSettings
from byola_diff.evaluation.probes.trainer import Judge, TrainedProbe, train_probes
from byola_diff.randomness import derive_seed

Metric = Literal["accuracy", "mAP"]
TargetsOf = Callable[[Int[np.ndarray, " clip"]], Targets]
"""Targets of the clips at these places."""

_TRIES = 100


@dataclass(frozen=True)
class ProbeResult:
    """Test scores of a task, in 0..1."""

    metric: Metric
    per_part: dict[str, dict[int, float]]
    """By part ("test", or "fold 1"), by seed."""
    learning_rates: dict[str, float]
    """Chosen, by part."""
    validation: dict[str, dict[float, float]]
    """Mean over the seeds of what was monitored, by part and learning rate."""

    def per_seed(self) -> dict[str, float]:
        """Mean over the parts, with equal weight."""
        seeds = next(iter(self.per_part.values()))
        return {
            f"seed {seed}": float(np.mean([scores[seed] for scores in self.per_part.values()]))
            for seed in seeds
        }


def probe_task(
    embeddings: Float[np.ndarray, "clip dim"],
    targets_of: TargetsOf,
    parts: Sequence[Part],
    n_classes: int,
    metric: Metric,
    protocol: LinearProtocol,
    *,
    device: torch.device | str = "cpu",
    progress: bool = True,
) -> ProbeResult:
    """Train all probes of a task and test those chosen on validation clips.

    Args:
        embeddings: Of all clips.
        targets_of: Classes (accuracy), or ones and zeros (mAP), of some clips.
        parts: From `probe_parts`.
        n_classes: Number of classes.
        metric: What is reported, and monitored where the protocol monitors the score.
        protocol: Such as `EVAR`.
        device: Where probes are trained.
        progress: Whether to show a bar, on the standard error.

    Raises:
        ValueError: If an embedding is not finite, or no learning rate gives a finite score.
    """
    chosen, learning_rates, validation = {}, {}, {}
    scales = {part.name: _Scale(embeddings[part.train]) for part in parts}
    with tqdm(
        total=len(parts) * len(protocol.seeds), unit=" stacks", disable=not progress, leave=False
    ) as bar:
        for part in parts:
            trained = {}
            for seed in protocol.seeds:
                trained[seed] = _train(
                    embeddings,
                    scales[part.name],
                    targets_of,
                    part,
                    seed,
                    n_classes,
                    metric,
                    protocol,
                    device,
                )
                bar.update()
            means = _mean_scores(trained, protocol)
            best = max(means, key=lambda rate: (means[rate], -rate))
            if not np.isfinite(means[best]):
                raise ValueError(f"{part.name}: no learning rate gave a finite validation score")
            place = protocol.learning_rates.index(best)
            chosen[part.name] = {seed: trained[seed][place] for seed in protocol.seeds}
            learning_rates[part.name], validation[part.name] = best, means
    # Only here are the labels of test clips looked at.
    per_part = {}
    for part in parts:
        test = scales[part.name](embeddings[part.test], device)
        true = targets_of(part.test)
        per_part[part.name] = {
            seed: _score(probe.logits(test).cpu(), true, metric)
            for seed, probe in chosen[part.name].items()
        }
    return ProbeResult(metric, per_part, learning_rates, validation)


def manifest_targets(manifest: Manifest, metric: Metric) -> TargetsOf:
    """Targets of the clips of a manifest, by the sorted order of its classes.

    Raises:
        ValueError: If accuracy is asked of clips with several labels.
    """
    number = {label: place for place, label in enumerate(manifest.classes)}
    several = [clip.file for clip in manifest.clips if len(clip.labels) != 1]
    if metric == "accuracy" and several:
        raise ValueError(f"accuracy needs one label per clip, {several[0]} has several")

    def targets_of(places: Int[np.ndarray, " clip"]) -> Targets:
        labels = [manifest.clips[place].labels for place in places]
        if metric == "accuracy":
            return torch.tensor([number[names[0]] for names in labels], dtype=torch.long)
        targets = torch.zeros(len(labels), len(number))
        for row, names in enumerate(labels):
            targets[row, [number[name] for name in names]] = 1
        return targets

    return targets_of


class _Scale:
    """Standardisation fitted to the embeddings of all training clips.

    A carved-out validation part is among them, as in EVAR.
    """

    def __init__(self, train: Float[np.ndarray, "clip dim"]) -> None:
        self.mean = train.mean(axis=0, dtype=np.float64)
        self.deviation = train.std(axis=0, dtype=np.float64)
        # Of a constant feature, rounding leaves a deviation that must not be divided by.
        constant = self.deviation <= 10 * np.finfo(np.float32).eps * np.abs(self.mean)
        self.deviation[constant] = 1

    def __call__(
        self, embeddings: Float[np.ndarray, "clip dim"], device: torch.device | str
    ) -> Float[Tensor, "clip dim"]:
        standard = (embeddings - self.mean.astype(np.float32)) / self.deviation.astype(np.float32)
        return torch.from_numpy(standard.astype(np.float32, copy=False)).to(device)


def _train(
    embeddings: np.ndarray,
    scale: _Scale,
    targets_of: TargetsOf,
    part: Part,
    seed: int,
    n_classes: int,
    metric: Metric,
    protocol: LinearProtocol,
    device: torch.device | str,
) -> list[TrainedProbe]:
    """Probes of all learning rates."""
    train, valid = part.train, part.valid
    if not len(valid):
        train, valid = _carve(part, targets_of, protocol.valid_share, seed)
    return train_probes(
        scale(embeddings[train], device),
        targets_of(train).to(device),
        scale(embeddings[valid], device),
        _judge(targets_of(valid).to(device), metric, protocol),
        [ProbeSettings(rate, seed) for rate in protocol.learning_rates],
        protocol.rules,
        n_classes,
    )


def _carve(
    part: Part, targets_of: TargetsOf, share: float, seed: int
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " valid"]]:
    """Training and validation clips out of the training clips.

    Random, drawn again until every class is on both sides; the last of 100 draws stands, as in
    EVAR, but never one that leaves nothing to train on.
    """
    targets = targets_of(part.train)
    n_valid = max(1, round(share * len(part.train)))
    if n_valid >= len(part.train):
        raise ValueError(f"{part.name}: {len(part.train)} training clips leave none to validate by")
    rng = np.random.default_rng(derive_seed("probe validation", seed, part.name))
    order = np.arange(len(part.train))
    for _ in range(_TRIES):
        order = rng.permutation(len(part.train))
        sides = (order[n_valid:], order[:n_valid])
        if len({_n_present(targets[side]) for side in (slice(None), *sides)}) == 1:
            break
    return part.train[order[n_valid:]], part.train[order[:n_valid]]


def _n_present(targets: Targets) -> int:
    if targets.ndim == 2:
        return int((targets.sum(0) > 0).sum())
    return len(targets.unique())


def _judge(true: Targets, metric: Metric, protocol: LinearProtocol) -> Judge:
    if protocol.monitor == "score":
        return lambda logits: _score(logits, true, metric)
    if metric == "accuracy":
        return lambda logits: -functional.cross_entropy(logits, true).item()
    return lambda logits: -functional.binary_cross_entropy_with_logits(logits, true).item()


def _score(logits: Tensor, true: Targets, metric: Metric) -> float:
    if not logits.isfinite().all():
        return float("-inf")  # diverged: never chosen, never an improvement
    score = accuracy if metric == "accuracy" else mean_average_precision
    return score(logits.cpu().numpy(), true.cpu().numpy())


def _mean_scores(
    trained: dict[int, list[TrainedProbe]], protocol: LinearProtocol
) -> dict[float, float]:
    """By learning rate, over the seeds."""
    return {
        rate: float(np.mean([trained[seed][place].best_score for seed in protocol.seeds]))
        for place, rate in enumerate(protocol.learning_rates)
    }
