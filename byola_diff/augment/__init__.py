"""Augmentations: mixtures, crops and faders of log-mel batches, drawn anew for each clip.

Public: `mixup`, `crop.RandomResizeCrop` and `fader`.
"""
