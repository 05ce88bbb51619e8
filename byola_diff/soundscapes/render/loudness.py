"""Integrated loudness after ITU-R BS.1770, measured as Scaper 1.6.5 does."""

import math

import numpy as np
from jaxtyping import Float

from byola_diff.optional import require

FLOOR_LUFS = -70.0

_LEAST_S = 0.5


def integrated_lufs(waveform: Float[np.ndarray, " sample"], sample_rate: int) -> float:
    """Loudness in LUFS: K-weighted, gated, at least -70.

    A sound shorter than half a second is repeated up to that length, as the gate needs 0.4 s.

    Raises:
        ValueError: If there is no sample, or one is NaN or infinite.
        ModuleNotFoundError: If pyloudnorm is not installed.
    """
    if len(waveform) == 0 or not np.isfinite(waveform).all():
        raise ValueError("loudness needs samples, all of them finite")
    waveform = waveform.astype(np.float64, copy=False)
    duration_s = len(waveform) / sample_rate
    if duration_s < _LEAST_S:
        waveform = np.tile(waveform, math.ceil(_LEAST_S / duration_s))
    meter = require("pyloudnorm", "generate", "loudness").Meter(sample_rate)
    return max(float(meter.integrated_loudness(waveform)), FLOOR_LUFS)
