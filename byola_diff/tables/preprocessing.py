"""Which stretch of a recording is embedded: all of it, or one unit of fixed length.

Source:
    Niizumi et al., EVAR, https://github.com/nttcslab/eval-audio-repr, evar/data.py.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor

from byola_diff.randomness import derive_seed
from byola_diff.tables.manifest import Clip


@dataclass(frozen=True)
class Preprocessing:
    """How clips are cut before they are embedded. Every clip gives one embedding.

    With a unit, longer clips are cropped to it, and shorter ones get zeros on the right. As in
    EVAR, clips of the training and validation splits are cropped at a random place, those of the
    test split at their start. Differs from EVAR: the place depends on seed and clip alone, so that
    embeddings can be kept; the last place is drawn too; and where there are folds, in which every
    clip is tested once, each is cropped at its start.
    """

    unit_s: float | None = None
    """None takes clips whole, whatever their length."""
    seed: int = 42

    def __post_init__(self) -> None:
        if self.unit_s is not None and not 0 < self.unit_s < math.inf:
            raise ValueError(f"unit_s must be positive, not {self.unit_s}")

    def draws(self, clip: Clip) -> bool:
        """Whether the place of the crop is random."""
        return self.unit_s is not None and clip.split in ("train", "valid")

    def crop(self, clip: Clip, n_samples: int, sample_rate: int) -> tuple[int, int]:
        """First sample to read of a clip that has so many, and how many to read."""
        wanted = self.unit_samples(sample_rate)
        if wanted is None or n_samples <= wanted:
            return 0, n_samples
        if not self.draws(clip):
            return 0, wanted
        draw = derive_seed(self.seed, "unit", clip.file, str(clip.start_s), str(clip.duration_s))
        return draw % (n_samples - wanted + 1), wanted

    def fit(
        self, waveform: Float32[Tensor, " sample"], sample_rate: int
    ) -> Float32[Tensor, " fitted"]:
        """The cropped clip with zeros on the right, one unit long."""
        wanted = self.unit_samples(sample_rate)
        if wanted is None or len(waveform) == wanted:
            return waveform
        return torch.nn.functional.pad(waveform[:wanted], (0, max(0, wanted - len(waveform))))

    def unit_samples(self, sample_rate: int) -> int | None:
        """Length of a unit, if there is one."""
        return None if self.unit_s is None else max(1, round(self.unit_s * sample_rate))
