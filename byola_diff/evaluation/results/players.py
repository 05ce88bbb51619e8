"""A sound as a part of a report that can be played."""

import io

import numpy as np
import soundfile
from jaxtyping import Float

from byola_diff.audio.files import to_pcm16
from byola_diff.evaluation.results.report import Audio

_LARGEST = 32767 / 32768
"""Above it, 16-bit samples would be clipped."""


def player(waveform: Float[np.ndarray, " sample"], sample_rate: int, caption: str) -> Audio:
    """The waveform as 16-bit wav; one louder than fits is turned down, as the caption then says.

    Raises:
        ValueError: If there is no sample, or one is NaN or infinite.
    """
    if not len(waveform):
        raise ValueError(f"no samples to play: {caption}")
    peak = float(np.abs(waveform).max())
    if _LARGEST < peak < np.inf:  # what is not finite is refused below
        waveform = waveform * (_LARGEST / peak)
        caption = f"{caption} (turned down by {20 * np.log10(peak / _LARGEST):.1f} dB to fit)"
    buffer = io.BytesIO()
    soundfile.write(buffer, to_pcm16(waveform), sample_rate, format="WAV", subtype="PCM_16")
    return Audio(buffer.getvalue(), caption)
