"""Procedural sounds as an endless source of training clips."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from byola_diff.clips.source import ClipSource
from byola_diff.sounds import training_batch


class ProceduralSource(ClipSource):
    """Clip k is a sound that depends on (seed, k) alone."""

    endless = True

    def __init__(self, seed: int, n_samples: int, sample_rate: int, on_device: bool = True) -> None:
        """Keep the settings.

        Args:
            seed: What the sounds depend on, beside their numbers.
            n_samples: Length of a clip.
            sample_rate: In Hz.
            on_device: Whether clips are made on the device that trains, rather than by loader
                workers. A batch is some thousand small operations, of which a fast GPU would spend
                more time on the launching than on the training step.
        """
        self.on_device = on_device
        self.seed, self.n_samples, self.sample_rate = seed, n_samples, sample_rate
        self.n_clips = 2**62
        """Any index is a clip."""

    def batch(
        self, epoch: int, clips: Int[Tensor, " batch"], device: torch.device | str = "cpu"
    ) -> Float[Tensor, "batch sample"]:
        """Clips in the order asked for; every epoch is the same, for no index comes twice."""
        return training_batch(self.seed, clips.to(device), self.n_samples, self.sample_rate)
