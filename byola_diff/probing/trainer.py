"""Training of many probes on one set of embeddings, each with its own early stopping.

Probes of one seed see the same batches, so they are trained as one stack; a probe that stops leaves
the stack. Each ends as if it had been trained alone. Stacks of different seeds and folds share no
batch, and come one after the other: the products of one stack keep a processor busy, and its
weights in the cache.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.probing.protocols import ProbeSettings, TrainingRules
from byola_diff.probing.stacks import LinearStack, MlpStack, Network, Targets
from byola_diff.progress import progress
from byola_diff.randomness import torch_generator

Judge = Callable[[Float[Tensor, "valid class"]], float]
"""How good the logits of the validation part are; larger is better."""


@dataclass
class TrainedProbe:
    """A probe at its best epoch."""

    network: Network
    best_score: float = float("-inf")
    """By the judge; minus infinity if it never was a number."""
    best_epoch: int = 0
    """0 for the weights it began with."""
    n_epochs: int = 0
    """Trained, with those after the best."""

    @torch.no_grad()
    def logits(self, features: Float[Tensor, "clip dim"]) -> Float[Tensor, "clip class"]:
        """For embeddings that are standardised as those it was trained on."""
        return self.network(features)


def train_probes(
    train: Float[Tensor, "clip dim"],
    targets: Targets,
    valid: Float[Tensor, "valid dim"],
    judge: Judge,
    settings: Sequence[ProbeSettings],
    rules: TrainingRules,
    n_classes: int,
) -> list[TrainedProbe]:
    """One trained probe for each of the settings, in their order.

    Args:
        train: Standardised embeddings, on the device to train on.
        targets: A class for each clip (cross-entropy), or ones and zeros (binary cross-entropy).
        valid: Standardised embeddings that decide when to stop.
        judge: Scores the logits of `valid`. It alone knows their labels.
        settings: One for each probe.
        rules: How all of them are trained.
        n_classes: Width of the output.

    Raises:
        ValueError: If a part is empty, or an embedding is not finite.
    """
    _check(train, valid)
    trained: dict[int, TrainedProbe] = {}
    stacks: dict[tuple[int, type[LinearStack | MlpStack]], list[int]] = {}
    for place, probe in enumerate(settings):
        is_linear = probe.hidden_layers == 0 and probe.initialisation == "torch"
        stacks.setdefault((probe.seed, LinearStack if is_linear else MlpStack), []).append(place)
    for (seed, kind), members in stacks.items():
        chosen = [settings[member] for member in members]
        stack = kind(chosen, rules, train.shape[1], n_classes, train.device)
        probes = [TrainedProbe(stack.copy_of(i)) for i in range(len(chosen))]
        _train(stack, probes, seed, train, targets, valid, judge, rules)
        trained.update(zip(members, probes, strict=True))
    return [trained[member] for member in range(len(settings))]


def _train(
    stack: LinearStack | MlpStack,
    probes: Sequence[TrainedProbe],
    seed: int,
    train: Tensor,
    targets: Tensor,
    valid: Tensor,
    judge: Judge,
    rules: TrainingRules,
) -> None:
    """Train the probes of one stack; each gets the weights of its best look."""
    active, waited = list(probes), [0] * len(probes)
    for epoch in progress(range(1, rules.max_epochs + 1), unit="epochs", leave=False):
        for batch in _batches(len(train), rules, seed, epoch, isinstance(stack, MlpStack)):
            batch = batch.to(train.device)
            stack.step(train[batch], targets[batch])
        for probe in active:
            probe.n_epochs = epoch
        if epoch % rules.check_every:
            continue
        logits = stack.logits(valid)
        for row, probe in enumerate(active):
            score = judge(logits[:, row])
            better = score > probe.best_score
            tie = rules.later_wins and score == probe.best_score
            waited[row] += 1
            if math.isfinite(score) and (better or tie):
                probe.best_score, probe.best_epoch = score, epoch
                probe.network = stack.copy_of(row)
                waited[row] = 0
        staying = [row for row in range(len(active)) if waited[row] < rules.patience]
        if not staying:
            return
        if len(staying) < len(active):
            stack.keep(staying)
            active, waited = [active[row] for row in staying], [waited[row] for row in staying]


def _batches(
    n_clips: int, rules: TrainingRules, seed: int, epoch: int, has_norms: bool
) -> list[Tensor]:
    """Places of the clips of each batch; if shuffled, by seed and epoch alone."""
    order = torch.arange(n_clips)
    if rules.shuffle:
        order = torch.randperm(n_clips, generator=torch_generator("probe order", seed, epoch))
    batches = list(order.split(rules.batch_size))
    if has_norms and len(batches) > 1 and len(batches[-1]) == 1:
        # Batch normalisation can't train on a single clip.
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def _check(train: Tensor, valid: Tensor) -> None:
    for name, part in (("training", train), ("validation", valid)):
        if not len(part):
            raise ValueError(f"the {name} part is empty")
        broken = (~part.isfinite()).any(dim=1).nonzero().flatten()
        if len(broken):
            raise ValueError(
                f"{len(broken)} embeddings of the {name} part are NaN or infinite, "
                f"such as number {int(broken[0])}"
            )
