"""Losses: functions from tensors to one number, and the difference that they are about."""

from byola_diff.losses.byol import byol_loss
from byola_diff.losses.difference import mix_with_neighbour, neighbour, subtract_neighbour

__all__ = [
    "byol_loss",
    "mix_with_neighbour",
    "neighbour",
    "subtract_neighbour",
]
