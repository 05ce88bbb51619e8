"""Waveform to the log-mel of CNN14: Slaney's mel scale, power in dB. Frames are centred.

Source:
    Kong et al., 2020, "PANNs: large-scale pretrained audio neural networks for audio pattern
    recognition"; the details are those of the released code.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.audio.log_mel import mel_filter_bank

N_MELS = 64
SAMPLE_RATES = (16_000, 32_000)
"""Hz; for each there are published weights."""

_HOPS_PER_S = 100
_F_MIN_HZ = 50.0
_F_MAX_HZ = {16_000: 8000.0, 32_000: 14_000.0}
_POWER_FLOOR = 1e-10


class Cnn14LogMel(nn.Module):
    """The front end; holds no weights. Runs in float32, whatever autocast says."""

    mel_bank: Tensor
    window: Tensor

    def __init__(self, sample_rate: int) -> None:
        """Precompute window and mel bank.

        Raises:
            ValueError: If there are no published weights for `sample_rate`.
        """
        super().__init__()
        if sample_rate not in SAMPLE_RATES:
            raise ValueError(f"CNN14 has sample_rate {SAMPLE_RATES}, not {sample_rate}")
        self.n_fft = 512 * sample_rate // 16_000
        self.hop_samples = sample_rate // _HOPS_PER_S
        bank = mel_filter_bank(sample_rate, self.n_fft, N_MELS, _F_MIN_HZ, _F_MAX_HZ[sample_rate])
        self.register_buffer("mel_bank", bank, persistent=False)
        window = torch.hann_window(self.n_fft, periodic=True)
        self.register_buffer("window", window, persistent=False)

    def forward(
        self, waveform: Float[Tensor, "batch sample"]
    ) -> Float[Tensor, "batch 1 frame mel"]:
        """Mel power in dB, -100 or more; waveforms must be longer than half a window."""
        with torch.autocast(waveform.device.type, enabled=False):
            spectrum = torch.stft(
                waveform.float(),
                self.n_fft,
                self.hop_samples,
                window=self.window,
                center=True,
                pad_mode="reflect",
                return_complex=True,
            )  # [batch, bin, frame]
            power = torch.view_as_real(spectrum).square().sum(-1)
            mel = self.mel_bank @ power
            return 10 * torch.log10(mel.clamp_min(_POWER_FLOOR)).transpose(1, 2)[:, None]
