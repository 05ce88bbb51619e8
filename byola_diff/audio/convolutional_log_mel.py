"""The log-mel front end without a Fourier transform, for runtimes that lack torch's.

Windowed cosines and sines are the kernels of a convolution over the waveform, whose two outputs
for a frequency are the real and the imaginary part of its bin.

Source:
    Cheuk et al., 2020, "nnAudio: An on-the-fly GPU audio to spectrogram conversion toolbox using 1D
    convolutional neural networks".
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.audio.log_mel import LOG_FLOOR, LogMel


class ConvolutionalLogMel(nn.Module):
    """The log-mel of a `LogMel`, but for rounding: the same frames, edges and bands.

    Several times slower on a CPU, where it is made wherever the other is. Nothing is checked, as a
    graph can't raise: waveforms are finite and have at least the `min_samples` of the front end.
    """

    kernels: Tensor
    mel_bank: Tensor

    def __init__(self, front_end: LogMel) -> None:
        super().__init__()
        self.hop_samples, self.edge_samples = front_end.hop_samples, front_end.n_fft // 2
        mel_bank = front_end.mel_bank.cpu()  # where the kernels are computed
        in_a_band = mel_bank.any(dim=0)
        self.register_buffer("kernels", _fourier_kernels(front_end)[in_a_band.repeat(2)])
        self.register_buffer("mel_bank", mel_bank[:, in_a_band, None])

    def forward(
        self, waveform: Float[Tensor, "batch sample"]
    ) -> Float[Tensor, "batch 1 mel frame"]:
        """Log-mel of each waveform."""
        edges = (self.edge_samples, self.edge_samples)
        waveform = nn.functional.pad(waveform[:, None], edges, mode="reflect")
        parts = nn.functional.conv1d(waveform, self.kernels, stride=self.hop_samples)
        real, imaginary = parts.square().chunk(2, dim=1)  # [batch, bin, frame]
        # A product that torch.export keeps for any batch: `@` would leave out that of one clip.
        mel = nn.functional.conv1d(real + imaginary, self.mel_bank)
        return torch.log(mel + LOG_FLOOR)[:, None]


def _fourier_kernels(front_end: LogMel) -> Float[Tensor, "parts 1 sample"]:
    """Windowed cosines of all bins, then windowed sines."""
    n_fft = front_end.n_fft
    bins, samples = torch.arange(n_fft // 2 + 1), torch.arange(n_fft)
    # Whole turns are dropped before the angle is rounded.
    angles = 2 * math.pi / n_fft * (bins[:, None] * samples % n_fft).double()
    before = (n_fft - front_end.window_samples) // 2
    after = n_fft - front_end.window_samples - before
    window = nn.functional.pad(front_end.window.double().cpu(), (before, after))
    return (torch.cat([angles.cos(), angles.sin()]) * window).float()[:, None]
