"""How much a long recording changes: what tells a street from the hum of a machine."""

from itertools import pairwise

import numpy as np
from jaxtyping import Float32

SHORTEST_S = 10.0
_WINDOW_S = 1.0
_LOWEST_HZ = 125
_MEASURED_S = 30
_FLOOR = 1e-12


def nonstationary_db(waveform: Float32[np.ndarray, " sample"], sample_rate: int) -> float:
    """Deviation over time of the level of a second, mean over octaves from 125 Hz on.

    Of up to 30 s. White noise has 0.3 dB, as the level of a second of it is never quite the same.

    Raises:
        ValueError: If there are not two whole seconds.
    """
    size = round(_WINDOW_S * sample_rate)
    n_windows = min(len(waveform) // size, _MEASURED_S)
    if n_windows < 2:
        raise ValueError("two whole seconds are needed to see a change")
    windows = waveform[: n_windows * size].reshape(n_windows, size)
    power = np.abs(np.fft.rfft(windows * np.hanning(size), axis=1)) ** 2  # [second, frequency]
    edges = [_LOWEST_HZ]
    while edges[-1] * 2 <= sample_rate / 2:
        edges.append(edges[-1] * 2)
    bands = [power[:, low:high].mean(axis=1) for low, high in pairwise(edges)]
    # A floor 120 dB below full scale: digital silence is no change of 100 dB.
    levels_db = 10 * np.log10(np.stack(bands) / size + _FLOOR * size)  # [band, second]
    return float(levels_db.std(axis=1).mean())
