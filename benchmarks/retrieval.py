"""Seconds per epoch of the retrieval system on cached embeddings, against a plain loop.

    python benchmarks/retrieval.py                      # 50 000 pairs, 512 and 3072 features
    python benchmarks/retrieval.py --device cuda --epochs 10 --json retrieval.json

Ours gathers batches from tables on the device. The plain loop is what is usually written: a Dataset
that gives one pair, a DataLoader that puts pairs together, the same network, losses and optimiser,
in float32. Ours is timed in float32 and in bfloat16, which is the default where there is hardware
for it. Each trains on nine tenths of the pairs and validates on the rest. Embeddings are random:
times do not depend on what they are.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from byola_diff.evaluation.retrieval.network import (
    PairBatch,
    retrieval_loss,
    seeded_retrieval_network,
)
from byola_diff.evaluation.retrieval.train import EmbeddedPairs, RetrievalRules, train_retrieval

N_WORDINGS, TEXT_FEATURES, N_CLASSES = 5000, 768, 6
RULES = RetrievalRules()
PRECISIONS: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")


class OnePair(Dataset[tuple[Tensor, ...]]):
    """Pairs one by one, on the CPU."""

    def __init__(self, pairs: EmbeddedPairs, rows: Tensor) -> None:
        self.pairs, self.rows = pairs, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        row, pairs = self.rows[index], self.pairs
        return (
            pairs.audio[pairs.clips[0, row]],
            pairs.audio[pairs.clips[1, row]],
            pairs.text[pairs.wording[row]],
            pairs.labels[0, row],
            pairs.labels[1, row],
        )


def main() -> None:
    """Measure, print a table and the same as JSON."""
    options = _options()
    results = []
    header = f"{'ours, s':>9}{'plain, s':>10}{'ratio':>7}{'300 epochs':>14}"
    print(f"{'features':>8}  {'precision':10}{header}")
    for features in options.features:
        pairs = random_pairs(options.pairs, features)
        plain = per_epoch(lambda n, p=pairs: train_plainly(p, n, options.device), options)
        for precision in PRECISIONS:
            ours = per_epoch(
                lambda n, p=pairs, q=precision: train_ours(p, n, options.device, q), options
            )
            minutes = RULES.max_epochs * ours / 60
            times = f"{ours:9.2f}{plain:10.2f}{plain / ours:7.1f}{minutes:10.1f} min"
            print(f"{features:8}  {precision:10}{times}", flush=True)
            results.append(
                {
                    "features": features,
                    "precision": precision,
                    "pairs": options.pairs,
                    "ours_s": round(ours, 3),
                    "plain_s": round(plain, 3),
                    "ratio": round(plain / ours, 2),
                    "device": str(options.device),
                    "threads": torch.get_num_threads(),
                }
            )
    print(json.dumps(results, indent=2))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def random_pairs(n_pairs: int, features: int) -> EmbeddedPairs:
    """Pairs of clips of their own, on the CPU."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.rand(2, n_pairs, N_CLASSES, generator=generator) < 0.2
    return EmbeddedPairs(
        audio=torch.randn(2 * n_pairs, features, generator=generator),
        text=torch.randn(N_WORDINGS, TEXT_FEATURES, generator=generator),
        clips=torch.arange(2 * n_pairs).view(2, n_pairs),
        wording=torch.randint(N_WORDINGS, (n_pairs,), generator=generator),
        labels=labels.float(),
    )


def train_ours(
    pairs: EmbeddedPairs,
    n_epochs: int,
    device: torch.device,
    precision: Literal["float32", "bfloat16"],
) -> float:
    """Seconds to train so many epochs."""
    tables = {name: value.to(device) for name, value in vars(pairs).items()}
    rules = RetrievalRules(max_epochs=n_epochs, precision=precision)
    train, valid = parts(pairs)
    start = time.perf_counter()
    train_retrieval(EmbeddedPairs(**tables), train, valid, 0, rules)
    return time.perf_counter() - start


def train_plainly(pairs: EmbeddedPairs, n_epochs: int, device: torch.device) -> float:
    """Seconds to train so many epochs with a DataLoader."""
    sizes = (pairs.audio.shape[1], pairs.text.shape[1], N_CLASSES, RULES.dim)
    network = seeded_retrieval_network(0, *sizes).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=RULES.learning_rate)
    train, valid = (OnePair(pairs, rows) for rows in parts(pairs))
    start = time.perf_counter()
    for _ in range(n_epochs):
        for batch in DataLoader(train, RULES.batch_size, shuffle=True):
            optimizer.zero_grad()
            retrieval_loss(network, _joined(batch, device), RULES.class_weight)["total"].backward()
            optimizer.step()
        with torch.no_grad():
            for batch in DataLoader(valid, RULES.batch_size):
                retrieval_loss(network, _joined(batch, device), RULES.class_weight)["total"].item()
    return time.perf_counter() - start


def parts(pairs: EmbeddedPairs) -> tuple[Tensor, Tensor]:
    """Places of the pairs to train on, and of the last tenth."""
    rows = torch.arange(len(pairs.wording))
    n_train = round((1 - RULES.valid_share) * len(rows))
    return rows[:n_train], rows[n_train:]


def per_epoch(train: Callable[[int], float], options: argparse.Namespace) -> float:
    """Seconds of an epoch, after one that is not counted."""
    train(1)
    return train(options.epochs) / options.epochs


def _joined(batch: list[Tensor], device: torch.device) -> PairBatch:
    first, second, text, first_labels, second_labels = (part.to(device) for part in batch)
    return PairBatch(torch.cat([first, second]), text, torch.cat([first_labels, second_labels]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=50_000)
    parser.add_argument("--features", type=int, nargs="+", default=[512, 3072])
    parser.add_argument("--epochs", type=int, default=3, help="to take the mean of")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--json", type=Path, help="file to write the result to")
    return parser.parse_args()


if __name__ == "__main__":
    main()
