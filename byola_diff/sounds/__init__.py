"""Procedural sounds: seeded families of parametric sounds, batched in torch."""

from byola_diff.sounds.registry import BACKGROUNDS, FOREGROUNDS, class_names
from byola_diff.sounds.render import render
from byola_diff.sounds.stream import training_batch

__all__ = ["BACKGROUNDS", "FOREGROUNDS", "class_names", "render", "training_batch"]
