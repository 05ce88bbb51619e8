"""A sound as a part of a report that can be played."""

import io

import numpy as np
import soundfile
from jaxtyping import Float

from byola_diff.audio.files import to_pcm16
from byola_diff.reports.report import Audio

_LARGEST = 32767 / 32768
"""Above it, 16-bit samples would be clipped."""


def player(
    waveform: Float[np.ndarray, " sample"],
    sample_rate: int,
    caption: str,
    spectrogram: bytes | None = None,
) -> Audio:
    """The waveform as 16-bit wav; one louder than fits is turned down, as the caption then says.

    Args:
        waveform: At least one sample.
        sample_rate: In Hz.
        caption: What it is.
        spectrogram: A PNG to be shown above the player.

    Raises:
        ValueError: If there is no sample, or one is NaN or infinite.
    """
    if not len(waveform):
        raise ValueError(f"no samples to play: {caption}")
    peak = float(np.abs(waveform).max())
    if _LARGEST < peak < np.inf:  # what is not finite is refused below
        waveform = waveform * (_LARGEST / peak)
        turned_down_db = 20 * np.log10(peak / _LARGEST)
        if turned_down_db > 0.05:  # full scale itself is not worth a word
            caption = f"{caption} (turned down by {turned_down_db:.1f} dB to fit)"
    buffer = io.BytesIO()
    soundfile.write(buffer, to_pcm16(waveform), sample_rate, format="WAV", subtype="PCM_16")
    return Audio(buffer.getvalue(), caption, spectrogram)
