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
from torch import Tensor, nn

from byola_diff.probing.protocols import ProbeSettings, TrainingRules
from byola_diff.probing.stacks import LinearStack, MlpStack, Targets
from byola_diff.randomness import torch_generator

Judge = Callable[[Float[Tensor, "valid class"]], float]
"""How good the logits of the validation part are; larger is better."""


@dataclass
class TrainedProbe:
    """A probe at its best epoch."""

    settings: ProbeSettings
    weights: tuple[Tensor, Tensor] | nn.Module
    best_score: float = float("-inf")
    """By the judge; minus infinity if it never was a number."""
    best_epoch: int = 0
    """0 for the weights it began with."""
    n_epochs: int = 0
    """Trained, with those after the best."""

    @torch.no_grad()
    def logits(self, features: Float[Tensor, "clip dim"]) -> Float[Tensor, "clip class"]:
        """For embeddings that are standardised as those it was trained on."""
        if isinstance(self.weights, nn.Module):
            return self.weights(features)
        weight, bias = self.weights
        return torch.addmm(bias, features, weight.T)


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
        ValueError: If a part is empty, an embedding is not finite, or a target is no class.
    """
    _check(train, targets, valid, n_classes)
    trained: dict[int, TrainedProbe] = {}
    # Of one seed, and linear or with hidden layers.
    stacks: dict[tuple[int, bool], list[int]] = {}
    for place, probe in enumerate(settings):
        stacks.setdefault((probe.seed, probe.hidden_layers > 0), []).append(place)
    for members in stacks.values():
        chosen = [settings[member] for member in members]
        is_linear = all(
            probe.hidden_layers == 0 and probe.initialisation == "torch" for probe in chosen
        )
        kind = LinearStack if is_linear else MlpStack
        stack = kind(chosen, rules, train.shape[1], n_classes, train.device)
        probes = [TrainedProbe(one, stack.copy_of(i)) for i, one in enumerate(chosen)]
        _train(stack, probes, train, targets, valid, judge, rules)
        trained.update(zip(members, probes, strict=True))
    return [trained[member] for member in range(len(settings))]


def _train(
    stack: LinearStack | MlpStack,
    probes: Sequence[TrainedProbe],
    train: Tensor,
    targets: Tensor,
    valid: Tensor,
    judge: Judge,
    rules: TrainingRules,
) -> None:
    """Train the probes of one stack; each gets the weights of its best look."""
    active, seed = list(probes), probes[0].settings.seed
    waited = dict.fromkeys(range(len(probes)), 0)
    places = list(range(len(probes)))  # of the active ones among all
    for epoch in range(1, rules.max_epochs + 1):
        for batch in _batches(len(train), rules, seed, epoch, isinstance(stack, MlpStack)):
            batch = batch.to(train.device)
            stack.step(train[batch], targets[batch])
        for probe in active:
            probe.n_epochs = epoch
        if epoch % rules.check_every:
            continue
        logits = stack.logits(valid)
        for row, (place, probe) in enumerate(zip(places, active, strict=True)):
            score = judge(logits[:, row])
            better = score > probe.best_score
            tie = rules.later_wins and score == probe.best_score
            if math.isfinite(score) and (better or tie):
                probe.best_score, probe.best_epoch = score, epoch
                probe.weights = stack.copy_of(row)
                waited[place] = 0
            else:
                waited[place] += 1
        staying = [row for row, place in enumerate(places) if waited[place] < rules.patience]
        if not staying:
            return
        if len(staying) < len(active):
            stack.keep(staying)
            active, places = [active[row] for row in staying], [places[row] for row in staying]


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


def _check(train: Tensor, targets: Tensor, valid: Tensor, n_classes: int) -> None:
    for name, part in (("training", train), ("validation", valid)):
        if not len(part):
            raise ValueError(f"the {name} part is empty")
        broken = (~part.isfinite()).any(dim=1).nonzero().flatten()
        if len(broken):
            raise ValueError(
                f"{len(broken)} embeddings of the {name} part are NaN or infinite, "
                f"such as number {int(broken[0])}"
            )
    if len(targets) != len(train):
        raise ValueError(f"{len(targets)} targets for {len(train)} clips")
    if targets.ndim == 1 and not 0 <= int(targets.min()) <= int(targets.max()) < n_classes:
        raise ValueError(f"targets must be classes 0 to {n_classes - 1}")
    if targets.ndim == 2 and targets.shape[1] != n_classes:
        raise ValueError(f"targets have {targets.shape[1]} columns for {n_classes} classes")
