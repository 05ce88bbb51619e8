"""Training of the adapters on pairs that are embedded; the epoch of lowest validation loss is kept.

Nothing is read while it trains: batches are gathered from tables on the device.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor
from tqdm import tqdm

from byola_diff.evaluation.retrieval.embedded_pairs import EmbeddedPairs
from byola_diff.evaluation.retrieval.network import (
    RetrievalNetwork,
    retrieval_loss,
    seeded_retrieval_network,
)
from byola_diff.randomness import torch_generator
from byola_diff.tables.pairs import PairTable


@dataclass(frozen=True)
class RetrievalRules:
    """How every system is trained. Epochs and the validation share are the paper's."""

    max_epochs: int = 300
    batch_size: int = 512
    learning_rate: float = 1e-3
    class_weight: float = 1.0
    valid_share: float = 0.1
    dim: int = 512
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of products in the adapters; losses and results are float32."""


@dataclass(frozen=True)
class TrainedRetrieval:
    """A network at its best epoch."""

    network: RetrievalNetwork
    best_epoch: int
    valid_losses: tuple[float, ...]
    """By epoch."""


def retrieval_parts(
    table: PairTable, seed: int, rules: RetrievalRules
) -> tuple[Int[Tensor, " train"], Int[Tensor, " valid"]]:
    """Places of the pairs to train on and to validate by.

    Validation pairs are those of the split valid, or else a share of the training pairs.

    Raises:
        ValueError: If one of the two parts is empty.
    """
    splits = [pair.split for pair in table.pairs]
    train, valid = (
        torch.tensor([row for row, split in enumerate(splits) if split == part], dtype=torch.int64)
        for part in ("train", "valid")
    )
    if not len(valid) and len(train) > 1:
        order = torch.randperm(len(train), generator=torch_generator("retrieval validation", seed))
        n_valid = max(1, round(rules.valid_share * len(train)))
        valid = train[order[:n_valid].sort().values]
        train = train[order[n_valid:].sort().values]
    if not len(train) or not len(valid):
        raise ValueError(
            f"{len(train)} training and {len(valid)} validation pairs: both are needed; add "
            "pairs of split train, of which a part serves for validation, or of split valid"
        )
    return train, valid


def train_retrieval(
    pairs: EmbeddedPairs,
    train: Int[Tensor, " train"],
    valid: Int[Tensor, " valid"],
    seed: int,
    rules: RetrievalRules,
) -> TrainedRetrieval:
    """A network trained on the device of the pairs, at its best epoch: of equal ones, the first.

    `train` are the places of the pairs to train on, `valid` those of pairs whose loss decides;
    weights and order of the pairs depend on `seed`.

    Raises:
        ValueError: If the validation loss never was a number.
    """
    device = pairs.audio.device
    sizes = (pairs.audio.shape[1], pairs.text.shape[1], pairs.labels.shape[2])
    network = seeded_retrieval_network(seed, *sizes, rules.dim).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=rules.learning_rate, fused=True)
    valid = valid.to(device)
    lowest, best_epoch, weights, losses = math.inf, 0, {}, []
    for epoch in tqdm(range(1, rules.max_epochs + 1), unit=" epochs", leave=False):
        # An order of seed and epoch alone.
        generator = torch_generator("retrieval order", seed, epoch)
        order = torch.randperm(len(train), generator=generator)
        for rows in train[order].to(device).split(rules.batch_size):
            optimizer.zero_grad()
            _loss(network, pairs, rows, rules).backward()
            optimizer.step()
            network.bound_temperature()
        losses.append(validation_loss(network, pairs, valid, rules))
        if losses[-1] < lowest:  # NaN never is
            lowest, best_epoch = losses[-1], epoch
            weights = {name: value.clone() for name, value in network.state_dict().items()}
    if not weights:
        raise ValueError("the validation loss never was a number: the training diverged")
    network.load_state_dict(weights)
    return TrainedRetrieval(network.eval().requires_grad_(False), best_epoch, tuple(losses))


@torch.no_grad()
def validation_loss(
    network: RetrievalNetwork,
    pairs: EmbeddedPairs,
    rows: Int[Tensor, " row"],
    rules: RetrievalRules,
) -> float:
    """Mean loss over the pairs, in batches as large as those of the training.

    The contrastive loss depends on the size of the batch, so it is not taken over all at once.
    """
    total = torch.zeros((), dtype=torch.float64, device=rows.device)
    for part in rows.split(rules.batch_size):
        total += _loss(network, pairs, part, rules).double() * len(part)
    return (total / len(rows)).item()


def _loss(
    network: RetrievalNetwork, pairs: EmbeddedPairs, rows: Tensor, rules: RetrievalRules
) -> Tensor:
    is_short = rules.precision == "bfloat16"
    with torch.autocast(rows.device.type, torch.bfloat16, enabled=is_short):
        return retrieval_loss(network, pairs.batch(rows), rules.class_weight)["total"]
