"""Waveform to natural-log mel power, the input of every encoder here, and mixing in that domain.

The front end is that of BYOL-A. The mel bank has the Slaney scale and area normalisation of
librosa; frames are centred, with reflected edges, so `n` samples give `1 + n // hop_samples`
frames. All of it runs in float32, whatever autocast says.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.optional import require

LOG_FLOOR = torch.finfo(torch.float32).eps
"""Added to the mel power before the logarithm, as in BYOL-A: silence becomes -15.94."""

# Of a front end from a file that nobody vouches for; none in use comes near.
_MOST_SAMPLES = 1 << 20
_MOST_WEIGHTS = 1 << 24


class LogMel(nn.Module):
    """Log-mel front end with an FFT backend, or nnAudio's convolutions as a slower reference.

    Holds no trainable weights and adds nothing to a state dict.
    """

    mel_bank: Tensor
    window: Tensor

    def __init__(
        self,
        sample_rate: int = 16_000,
        window_samples: int = 1024,
        n_fft: int = 1024,
        hop_samples: int = 160,
        n_mels: int = 64,
        f_min_hz: float = 60.0,
        f_max_hz: float = 7800.0,
        backend: Literal["fft", "nnaudio"] = "fft",
    ) -> None:
        """Precompute window and mel bank.

        Raises:
            ValueError: If a mel band holds no FFT bin, the window is longer than the FFT, or a size
                is not positive, or so large that it can't be meant.
            ModuleNotFoundError: If `backend` is "nnaudio" and nnAudio is not installed.
        """
        super().__init__()
        sizes = (sample_rate, window_samples, n_fft, hop_samples, n_mels)
        if min(sizes) < 1 or max(sizes) > _MOST_SAMPLES or n_mels * n_fft > _MOST_WEIGHTS:
            names = "sample_rate, window_samples, n_fft, hop_samples, n_mels"
            raise ValueError(f"{names} {sizes}: sizes must be positive and sensible")
        if window_samples > n_fft:
            raise ValueError(f"window of {window_samples} samples is longer than n_fft {n_fft}")
        self.sample_rate, self.n_mels = sample_rate, n_mels
        self.window_samples, self.n_fft, self.hop_samples = window_samples, n_fft, hop_samples
        self.f_min_hz, self.f_max_hz = f_min_hz, f_max_hz
        self.backend: Literal["fft", "nnaudio"] = backend
        self.min_samples = n_fft // 2 + 1
        """Shortest waveform whose edges can be reflected."""
        bank = mel_filter_bank(sample_rate, n_fft, n_mels, f_min_hz, f_max_hz)
        self.register_buffer("mel_bank", bank, persistent=False)
        window = torch.hann_window(window_samples, periodic=True)
        self.register_buffer("window", window, persistent=False)
        self.convolutional = _nnaudio_mel(self) if backend == "nnaudio" else None

    def forward(
        self, waveform: Float[Tensor, "batch sample"]
    ) -> Float[Tensor, "batch 1 mel frame"]:
        """Log-mel of each waveform.

        Raises:
            ValueError: If the waveforms have fewer than `min_samples` samples.
        """
        if waveform.shape[-1] < self.min_samples:
            raise ValueError(
                f"{waveform.shape[-1]} samples are too few for n_fft {self.n_fft}: "
                f"pad with zeros to {self.min_samples} or more"
            )
        with torch.autocast(waveform.device.type, enabled=False):
            waveform = waveform.float()
            mel = self.convolutional(waveform) if self.convolutional else self.mel_power(waveform)
            return torch.log(mel + LOG_FLOOR)[:, None]

    def settings(self) -> dict[str, int | float | str]:
        """Arguments that make this front end again."""
        names = ("sample_rate", "window_samples", "n_fft", "hop_samples", "n_mels")
        return {name: getattr(self, name) for name in (*names, "f_min_hz", "f_max_hz", "backend")}

    def mel_power(
        self, waveform: Float[Tensor, "batch sample"]
    ) -> Float[Tensor, "batch mel frame"]:
        """Power in each mel band, by FFT; waveforms are longer than half a window."""
        spectrum = torch.stft(
            waveform,
            self.n_fft,
            self.hop_samples,
            self.window_samples,
            self.window,
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )  # [batch, bin, frame]
        # re^2 + im^2 rather than abs^2: no square root, half the time of the whole front end.
        squares = torch.view_as_real(spectrum).square()
        power = squares[..., 0] + squares[..., 1]  # as sum(-1), in half the time
        with torch.autocast(waveform.device.type, enabled=False):
            return self.mel_bank @ power


def log_mix(
    first: Float[Tensor, "batch *rest"],
    second: Float[Tensor, "batch *rest"],
    second_share: Float[Tensor, " batch"],
) -> Float[Tensor, "batch *rest"]:
    """log((1 - share) exp(first) + share exp(second)), one share in [0, 1] per example.

    Computed as a log-sum-exp of shifted inputs: exact where exp alone would overflow, and equal to
    `first` where the share is 0.
    """
    share = second_share.reshape(-1, *[1] * (first.ndim - 1))
    return torch.logaddexp(first + torch.log1p(-share), second + torch.log(share))


def mel_filter_bank(
    sample_rate: int, n_fft: int, n_mels: int, f_min_hz: float, f_max_hz: float
) -> Float[Tensor, "mel bin"]:
    """Triangles equally spaced on the Slaney mel scale, each of unit area in Hz.

    Raises:
        ValueError: If the band edges are out of order, or a triangle holds no FFT bin.

    Source:
        Slaney, 1998, "Auditory Toolbox"; the values are those of `librosa.filters.mel`.
    """
    if not 0 <= f_min_hz < f_max_hz <= sample_rate / 2:
        raise ValueError(f"need 0 <= {f_min_hz} < {f_max_hz} <= {sample_rate / 2} Hz")
    mel_edges = torch.linspace(
        _hz_to_mel(f_min_hz), _hz_to_mel(f_max_hz), n_mels + 2, dtype=torch.float64
    )
    edges_hz = _mel_to_hz(mel_edges)
    bins_hz = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    width_hz = edges_hz.diff()
    slopes = edges_hz[:, None] - bins_hz  # [mel + 2, bin]
    rising = -slopes[:-2] / width_hz[:-1, None]
    falling = slopes[2:] / width_hz[1:, None]
    triangles = torch.minimum(rising, falling).clamp_min(0)
    bank = triangles * (2 / (edges_hz[2:] - edges_hz[:-2]))[:, None]
    empty = (bank.sum(1) == 0).nonzero().flatten().tolist()
    if empty:
        raise ValueError(f"mel bands {empty} hold no FFT bin: raise n_fft or lower n_mels")
    return bank.float()


# Slaney's scale: linear with 3 mel per 200 Hz up to 1 kHz, then 27 mel per factor 6.4.
_LINEAR_HZ_PER_MEL = 200 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP = torch.log(torch.tensor(6.4, dtype=torch.float64)).item() / 27


def _hz_to_mel(hz: float) -> float:
    if hz < _BREAK_HZ:
        return hz / _LINEAR_HZ_PER_MEL
    ratio = torch.tensor(hz / _BREAK_HZ, dtype=torch.float64)
    return _BREAK_MEL + torch.log(ratio).item() / _LOG_STEP


def _mel_to_hz(mel: Tensor) -> Tensor:
    linear = mel * _LINEAR_HZ_PER_MEL
    return torch.where(
        mel < _BREAK_MEL, linear, _BREAK_HZ * torch.exp(_LOG_STEP * (mel - _BREAK_MEL))
    )


def _nnaudio_mel(front_end: LogMel) -> nn.Module:
    mel = require("nnAudio.features", "nnaudio", "backend 'nnaudio'").MelSpectrogram(
        sr=front_end.sample_rate,
        n_fft=front_end.n_fft,
        win_length=front_end.window_samples,
        hop_length=front_end.hop_samples,
        n_mels=front_end.n_mels,
        fmin=front_end.f_min_hz,
        fmax=front_end.f_max_hz,
        verbose=False,
    )
    # nnAudio's bases are persistent buffers: 4 MB that every checkpoint would carry for nothing.
    for module in mel.modules():
        module._non_persistent_buffers_set.update(module._buffers)
    return mel
