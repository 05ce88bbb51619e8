"""Waveform to the log-mel of VGGish.

Magnitudes, not power; HTK's mel scale; triangles straight in mel, not in Hz, and of height one. No
padding: `n` samples give `1 + (n - 400) // 160` frames.

Source:
    Hershey et al., 2017, "CNN architectures for large-scale audio classification"; the details are
    those of the released code.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

SAMPLE_RATE = 16_000
WINDOW_SAMPLES = 400
HOP_SAMPLES = 160
N_MELS = 64

_N_FFT = 512
_F_MIN_HZ, _F_MAX_HZ = 125.0, 7500.0
_LOG_OFFSET = 0.01


class VggishLogMel(nn.Module):
    """The front end; holds no weights. Runs in float32, whatever autocast says."""

    mel_bank: Tensor
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mel_bank", _mel_bank(), persistent=False)
        window = torch.hann_window(WINDOW_SAMPLES, periodic=True)
        self.register_buffer("window", window, persistent=False)

    def forward(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame mel"]:
        """Natural log of mel magnitude plus 0.01."""
        with torch.autocast(waveform.device.type, enabled=False):
            frames = waveform.float().unfold(1, WINDOW_SAMPLES, HOP_SAMPLES) * self.window
            magnitude = torch.fft.rfft(frames, n=_N_FFT).abs()  # [batch, frame, bin]
            return torch.log(magnitude @ self.mel_bank + _LOG_OFFSET)


def _mel_bank() -> Float[Tensor, "bin mel"]:
    edges = torch.linspace(_mel(_F_MIN_HZ), _mel(_F_MAX_HZ), N_MELS + 2, dtype=torch.float64)
    bins_hz = torch.linspace(0, SAMPLE_RATE / 2, _N_FFT // 2 + 1, dtype=torch.float64)
    bins = torch.tensor([_mel(hz) for hz in bins_hz.tolist()], dtype=torch.float64)[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    bank = torch.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    # The mean of a frame, bin 0, lies below the lowest edge: it is in no band.
    return bank.clamp_min(0).float()


def _mel(hz: float) -> float:
    return 1127 * math.log1p(hz / 700)
