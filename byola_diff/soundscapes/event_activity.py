"""Where in a clip something is heard: from the first to the last loud stretch of its envelope."""

import numpy as np
from jaxtyping import Float

_KERNEL_SAMPLES = 512
_THRESHOLD = 0.1


def active_span(waveform: Float[np.ndarray, " sample"]) -> tuple[int, int]:
    """First and last sample at which the smoothed magnitude is above a tenth of its peak.

    The magnitude is convolved with a Hann window of 512 samples and keeps its length and place.
    Any level gives the same span.

    Raises:
        ValueError: If the waveform is empty or silent.

    Source:
        The preparation of APwD's events (github.com/nttcslab/apwd-dataset, modify_org_csv.py).
    """
    if waveform.size == 0 or not np.any(waveform):
        raise ValueError("silent: nothing to trim to")
    full = np.convolve(np.abs(waveform.astype(np.float64)), np.hanning(_KERNEL_SAMPLES))
    # Not mode="same", which lengthens clips that are shorter than the window.
    start = (_KERNEL_SAMPLES - 1) // 2
    envelope = full[start : start + len(waveform)]
    active = np.flatnonzero(envelope > _THRESHOLD * envelope.max())
    if active.size == 0:  # a click next to the end can fall on the zeros of the window
        raise ValueError("too short: nothing to trim to")
    return int(active[0]), int(active[-1])
