"""Movements in a plane: the two directions in which they differ most."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.evaluation.additivity.embedded import Quadruples
from byola_diff.evaluation.additivity.measures import centred, unit_movements

MAX_LABELS = 10
"""Labels in a picture: more can't be kept apart."""


@dataclass(frozen=True)
class Projection:
    """Points [event, 2] of the movements over either background, and what they are."""

    first: np.ndarray
    second: np.ndarray
    labels: tuple[str, ...]
    shares: tuple[float, float]
    """Shares of the variance of all movements, along either axis."""


def project(embedded: Quadruples, labels: Sequence[str]) -> Projection:
    """Principal components of centred movements of unit length, over both backgrounds.

    The sign is that in which the largest weight of each component is positive.
    """
    first, second = (centred(movements) for movements in unit_movements(*embedded))
    both = torch.cat([first, second])
    _, singular, components = torch.linalg.svd(both, full_matrices=False)
    axes = torch.zeros(2, both.shape[1], dtype=both.dtype)
    axes[: len(components)] = components[:2]
    peak = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    axes = axes * torch.where(peak < 0, -1.0, 1.0)
    power = torch.zeros(2, dtype=both.dtype)
    power[: len(singular)] = singular[:2].square()
    total = singular.square().sum()
    shares = (power / total if total > 0 else power).tolist()
    return Projection(_points(first, axes), _points(second, axes), tuple(labels), tuple(shares))


def labels_to_show(labels: Sequence[str], limit: int = MAX_LABELS) -> list[str]:
    """Labels of several events, those with the most first, then by name.

    If no label has several, those of single events.
    """
    counts = Counter(labels)
    ranked = sorted(counts, key=lambda label: (-counts[label], label))
    several = [label for label in ranked if counts[label] > 1]
    return (several or ranked)[:limit]


def _points(
    movements: Float[Tensor, "event dim"], axes: Float[Tensor, "2 dim"]
) -> Float[np.ndarray, "event 2"]:
    return (movements @ axes.T).numpy()
