"""Embeddings to zero mean and unit deviation."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


class Standardisation:
    """Standardisation fitted to the embeddings of all training clips.

    A carved-out validation part is among them, as in EVAR.
    """

    def __init__(self, train: Float[np.ndarray, "clip dim"]) -> None:
        """Fit to `train`."""
        self.mean = train.mean(axis=0, dtype=np.float64)
        self.deviation = train.std(axis=0, dtype=np.float64)
        # Of a constant feature, rounding leaves a deviation that must not be divided by.
        constant = self.deviation <= 10 * np.finfo(np.float32).eps * np.abs(self.mean)
        self.deviation[constant] = 1

    def __call__(
        self, embeddings: Float[np.ndarray, "clip dim"], device: torch.device | str
    ) -> Float[Tensor, "clip dim"]:
        """Standardised embeddings on `device`."""
        standard = (embeddings - self.mean.astype(np.float32)) / self.deviation.astype(np.float32)
        return torch.from_numpy(standard.astype(np.float32, copy=False)).to(device)
