"""The log-mels that AST was trained on: Kaldi's filter bank, scaled by two numbers.

Source:
    https://github.com/YuanGongND/ast, src/dataloader.py
"""

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.optional import require

SAMPLE_RATE = 16_000
WINDOW_SAMPLES = 400
HOP_SAMPLES = 160
N_MELS = 128
AUDIOSET_STATISTICS = (-4.2677393, 4.5689974)
"""Mean and deviation of the filter bank on AudioSet."""


def ast_features(
    waveform: Float[Tensor, "batch sample"], statistics: tuple[float, float]
) -> Float[Tensor, "batch frame mel"]:
    """Filter bank of clips of zero mean, scaled to a mean of 0 and a deviation of 0.5.

    Frames lie inside the clip: (samples - 400) // 160 + 1 of them.

    Args:
        waveform: At least 400 samples at 16 kHz.
        statistics: Mean and deviation of the filter bank over the data.

    Raises:
        ModuleNotFoundError: If torchaudio is not installed.
    """
    fbank = require("torchaudio.compliance.kaldi", "evaluate", "the filter bank of AST").fbank
    with torch.autocast(waveform.device.type, enabled=False):
        clips = [
            fbank(
                clip[None],
                htk_compat=True,
                sample_frequency=SAMPLE_RATE,
                use_energy=False,
                window_type="hanning",
                num_mel_bins=N_MELS,
                dither=0.0,
                frame_length=1000 * WINDOW_SAMPLES / SAMPLE_RATE,
                frame_shift=1000 * HOP_SAMPLES / SAMPLE_RATE,
            )
            for clip in waveform.float()
        ]
    mean, deviation = statistics
    return (torch.stack(clips) - mean) / (2 * deviation)
