"""Change of sample rate, by one named resampler: results depend on which one is used."""

from collections.abc import Iterable, Iterator
from math import gcd

import numpy as np
from jaxtyping import Float32

_QUALITY = "HQ"

# Context on both sides of a crop, in samples of the slower of the two rates: with it, a resampled
# crop differs from the same stretch of the resampled file by less than 1e-6.
_MARGIN_SAMPLES = 256


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


def resample_blocks(
    blocks: Iterable[Float32[np.ndarray, " _"]], from_rate: int, to_rate: int
) -> Iterator[Float32[np.ndarray, " _"]]:
    """What `resample` makes of all blocks joined, block by block; some may be empty."""
    if from_rate == to_rate:
        yield from blocks
        return
    import soxr

    stream = soxr.ResampleStream(from_rate, to_rate, 1, "float32", _QUALITY)
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.empty(0, np.float32), last=True)


def resampled_length(n_samples: int, from_rate: int, to_rate: int) -> int:
    """Samples that `resample` makes of `n_samples`: the nearest whole number, halves up."""
    return (2 * n_samples * to_rate + from_rate) // (2 * from_rate)


def source_stretch(
    start: int, crop_samples: int, from_rate: int, to_rate: int
) -> tuple[int, int, int]:
    """What to read for a crop: first sample, number of samples, resampled samples to cut off.

    The first sample is one at which both rates have a sample, or else the resampled crop would be
    shifted by a fraction of a sample. Rates that share few such instants are read from the start.
    """
    if from_rate == to_rate:
        return start, crop_samples, 0
    common = gcd(from_rate, to_rate)
    margin = -(-_MARGIN_SAMPLES * to_rate // min(from_rate, to_rate))
    block = max(0, start - margin) // (to_rate // common)
    first = block * (from_rate // common)
    cut = start - block * (to_rate // common)
    n_samples = -(-(cut + crop_samples + margin) * from_rate // to_rate)
    return first, n_samples, cut


def resampler_name() -> str:
    """Resampler with version and quality, as recorded beside resampled audio."""
    try:
        import soxr
    except ModuleNotFoundError:
        return "none"
    return f"soxr {soxr.__version__} {_QUALITY}"
