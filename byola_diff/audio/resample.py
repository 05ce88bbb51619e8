"""Change of sample rate, by one named resampler: results depend on which one is used."""

import numpy as np
from jaxtyping import Float32

_QUALITY = "HQ"


def resample(
    waveform: Float32[np.ndarray, " sample"], from_rate: int, to_rate: int
) -> Float32[np.ndarray, " resampled"]:
    """The waveform at `to_rate`, `resampled_length` samples long; unchanged at the same rate.

    May be empty: one sample at 48 kHz is a third of a sample at 16 kHz.
    """
    if from_rate == to_rate:
        return waveform
    import soxr  # here, so that audio at the rate of training can be used without it

    return soxr.resample(waveform, from_rate, to_rate, quality=_QUALITY)


def resampled_length(n_samples: int, from_rate: int, to_rate: int) -> int:
    """Samples that `resample` makes of `n_samples`: the nearest whole number, halves up."""
    return (2 * n_samples * to_rate + from_rate) // (2 * from_rate)


def resampler_name() -> str:
    """Resampler with version and quality, as recorded beside resampled audio."""
    try:
        import soxr
    except ModuleNotFoundError:
        return "none"
    return f"soxr {soxr.__version__} {_QUALITY}"
