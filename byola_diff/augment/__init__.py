"""Augmentations: mixtures, crops and faders of log-mel batches, drawn anew for each clip."""

from byola_diff.augment.crop import RandomResizeCrop
from byola_diff.augment.fader import RandomFader
from byola_diff.augment.mixup import MixupMemory, RandomMixup

__all__ = [
    "MixupMemory",
    "RandomFader",
    "RandomMixup",
    "RandomResizeCrop",
]
