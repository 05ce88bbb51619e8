"""Standardisation of embeddings, the same for all probes."""

import numpy as np
from jaxtyping import Float


def mean_and_deviation(
    train: Float[np.ndarray, "clip dim"],
) -> tuple[Float[np.ndarray, " dim"], Float[np.ndarray, " dim"]]:
    """Mean and deviation of each feature in double precision; 1 where all that varies is rounding.

    Differs from scikit-learn's scaler, which does not find features that are constant in float32,
    and lets their rounding count as much as all that an encoder tells.
    """
    mean = train.mean(axis=0, dtype=np.float64)
    deviation = train.std(axis=0, dtype=np.float64)
    deviation[deviation <= 10 * np.finfo(np.float32).eps * np.abs(mean)] = 1
    return mean, deviation
