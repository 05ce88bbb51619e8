"""Linear probes of many learning rates trained together, against one at a time.

    python benchmarks/probe.py                    # 13 rates x 3 seeds x 5 folds, 2000 x 3072
    python benchmarks/probe.py --plain-stacks 15  # one at a time for all of them too: half an hour

A stack holds the probes of all learning rates of one seed and fold. "One at a time" trains each of
them as it is usually written: DataLoader, nn.Linear, torch.optim.Adam. "Lean" leaves the DataLoader
out and takes batches by index. All start from the same weights and see the same batches, so scores
must agree. Ratios are of the same stacks, measured in turn: a shared machine drifts.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from byola_diff.probing.protocols import EVAR, LEARNING_RATES, ProbeSettings
from byola_diff.probing.trainer import train_probes
from byola_diff.randomness import torch_generator

N_CLIPS, N_FEATURES, N_CLASSES, N_FOLDS = 2000, 3072, 50, 5
RULES = EVAR.rules


class Stack(NamedTuple):
    """Embeddings and classes of one fold and seed."""

    seed: int
    train: Tensor
    targets: Tensor
    valid: Tensor
    valid_targets: Tensor
    test: Tensor
    test_targets: Tensor


Scores = list[float]
Trainer = Callable[[Stack], Scores]


def main() -> None:
    """Measure, print a table and write it as JSON if asked."""
    options = _options()
    stacks = list(make_stacks(options.seeds, options.folds))
    plain = stacks[: options.plain_stacks]
    seconds: dict[str, list[float]] = {"together": [], "one at a time": [], "lean": []}
    scores: dict[str, list[Scores]] = {name: [] for name in seconds}
    for stack in stacks:
        trainers: dict[str, Trainer] = {"together": together}
        if any(stack is one for one in plain):
            trainers |= {"one at a time": by_loader, "lean": by_index}
        for name, trainer in trainers.items():
            start = time.perf_counter()
            scores[name].append(trainer(stack))
            seconds[name].append(time.perf_counter() - start)
            print(f"  {name:<14} seed {stack.seed}: {seconds[name][-1]:.1f} s", flush=True)
    result = summary(seconds, scores, options.plain_stacks)
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


def make_stacks(seeds: int, folds: int) -> Iterator[Stack]:
    """Clusters that overlap, so that probes reach about 80 % and stop at different epochs."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(N_CLIPS) % N_CLASSES
    centers = torch.randn(N_CLASSES, N_FEATURES, generator=generator)
    features = 0.1 * centers[targets] + torch.randn(N_CLIPS, N_FEATURES, generator=generator)
    fold = torch.arange(N_CLIPS) // N_CLASSES % N_FOLDS
    for held_out in range(folds):
        for seed in range(42, 42 + seeds):
            rest = (fold != held_out).nonzero().flatten()
            rest = rest[torch.randperm(len(rest), generator=torch_generator("split", seed))]
            valid, train = rest[: len(rest) // 10], rest[len(rest) // 10 :]
            test = (fold == held_out).nonzero().flatten()
            mean, deviation = features[rest].mean(0), features[rest].std(0)
            sides = [
                ((features[side] - mean) / deviation, targets[side]) for side in (train, valid)
            ]
            tested = ((features[test] - mean) / deviation, targets[test])
            yield Stack(seed, *sides[0], *sides[1], *tested)


def together(stack: Stack) -> Scores:
    """Ours."""
    probes = train_probes(
        stack.train,
        stack.targets,
        stack.valid,
        lambda logits: accuracy(logits, stack.valid_targets),
        [ProbeSettings(rate, stack.seed) for rate in LEARNING_RATES],
        RULES,
        N_CLASSES,
    )
    return [accuracy(probe.logits(stack.test), stack.test_targets) for probe in probes]


def by_loader(stack: Stack) -> Scores:
    """One probe after another, batches from a DataLoader."""

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        dataset = TensorDataset(stack.train, stack.targets)
        order = order_of(stack, epoch).tolist()
        yield from DataLoader(dataset, batch_size=RULES.batch_size, sampler=order)

    return [plain_loop(stack, rate, batches) for rate in LEARNING_RATES]


def by_index(stack: Stack) -> Scores:
    """One probe after another, batches by index."""

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in order_of(stack, epoch).split(RULES.batch_size):
            yield stack.train[batch], stack.targets[batch]

    return [plain_loop(stack, rate, batches) for rate in LEARNING_RATES]


def plain_loop(
    stack: Stack, rate: float, batches: Callable[[int], Iterator[tuple[Tensor, Tensor]]]
) -> float:
    """Test accuracy of one probe at its best epoch."""
    model = nn.Linear(N_FEATURES, N_CLASSES)
    generator = torch_generator("probe weights", stack.seed)
    for parameter in (model.weight, model.bias):
        nn.init.uniform_(parameter, -(N_FEATURES**-0.5), N_FEATURES**-0.5, generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, weight_decay=RULES.weight_decay)
    best, best_state, waited = -1.0, model.state_dict(), 0
    for epoch in range(1, RULES.max_epochs + 1):
        for features, targets in batches(epoch):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(features), targets) / N_CLASSES
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            score = accuracy(model(stack.valid), stack.valid_targets)
        if score >= best:
            best, best_state, waited = score, copy.deepcopy(model.state_dict()), 0
        else:
            waited += 1
            if waited >= RULES.patience:
                break
    model.load_state_dict(best_state)
    with torch.no_grad():
        return accuracy(model(stack.test), stack.test_targets)


def order_of(stack: Stack, epoch: int) -> Tensor:
    """The order of training clips in an epoch."""
    generator = torch_generator("probe order", stack.seed, epoch)
    return torch.randperm(len(stack.train), generator=generator)


def accuracy(logits: Tensor, targets: Tensor) -> float:
    """Share of clips whose class has the highest logit."""
    return (logits.argmax(1) == targets).double().mean().item()


def summary(
    seconds: dict[str, list[float]], scores: dict[str, list[Scores]], n_plain: int
) -> dict[str, object]:
    """Times, ratios over the same stacks, and how far scores differ."""
    ours = torch.tensor(scores["together"][:n_plain])
    same = sum(seconds["together"][:n_plain])
    result: dict[str, object] = {
        "stacks": len(seconds["together"]),
        "probes": len(seconds["together"]) * len(LEARNING_RATES),
        "together_s": round(sum(seconds["together"]), 1),
        "mean_accuracy": round(torch.tensor(scores["together"]).mean().item(), 4),
        "threads": torch.get_num_threads(),
    }
    for name in ("one at a time", "lean"):
        if seconds[name]:
            difference = 100 * (torch.tensor(scores[name]) - ours)
            result[name] = {
                "stacks": n_plain,
                "ratio": round(sum(seconds[name]) / same, 2),
                "points_apart_on_average": round(abs(difference.mean().item()), 4),
                "points_apart_at_most": round(difference.abs().max().item(), 4),
            }
    return result


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=N_FOLDS)
    parser.add_argument("--plain-stacks", type=int, default=2, help="to train one at a time too")
    parser.add_argument("--json", type=Path, help="file to write the result to")
    return parser.parse_args()


if __name__ == "__main__":
    main()
