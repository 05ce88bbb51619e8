"""Procedural sounds: seeded families of parametric sounds, batched in torch."""

from byola_diff.sounds.render import BACKGROUNDS, FOREGROUNDS, render
from byola_diff.sounds.stream import training_batch

__all__ = ["BACKGROUNDS", "FOREGROUNDS", "render", "training_batch"]
