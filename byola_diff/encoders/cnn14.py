"""CNN14 of PANNs at 16 or 32 kHz, with its six blocks as layers "1" to "6".

Kong et al., 2020, "PANNs: large-scale pretrained audio neural networks for audio pattern
recognition"; details are those of the released code. Blocks 1 to 5 each halve time: 32 log-mel
frames of 10 ms give one output frame.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.audio.log_mel import mel_filter_bank
from byola_diff.models.frozen import FrozenEncoder
from byola_diff.models.pooling import mean_max_pool
from byola_diff.models.weights import WeightsSource, fill, read_tensors, seeded_network
from byola_diff.storage import BrokenFileError

_ZENODO = "https://zenodo.org/records/3987831"
SOURCES = {
    16_000: WeightsSource("CNN14 (16 kHz)", "Cnn14_16k_mAP=0.438.pth", _ZENODO),
    32_000: WeightsSource("CNN14 (32 kHz)", "Cnn14_mAP=0.431.pth", _ZENODO),
}

N_MELS = 64
SAMPLE_RATES = (16_000, 32_000)
"""Hz; for each there are published weights."""

_HOPS_PER_S = 100
_F_MIN_HZ = 50.0
_F_MAX_HZ = {16_000: 8000.0, 32_000: 14_000.0}
_POWER_FLOOR = 1e-10

_N_BLOCKS = 6
_STRIDE = 32
_MEL_BANK = "logmel_extractor.melW"


class Cnn14LogMel(nn.Module):
    """Waveform to the log-mel of CNN14: Slaney's mel scale, power in dB. Frames are centred.

    Holds no weights. Runs in float32, whatever autocast says.
    """

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


class Cnn14(nn.Module):
    """The network, named as in the published files, without its classifier."""

    def __init__(self, channels: int = 64) -> None:
        """Build the layers.

        Args:
            channels: Of the first block, 64 in published weights; each block has twice those of
                the one before it.
        """
        super().__init__()
        self.bn0 = nn.BatchNorm2d(N_MELS)
        widths = [1, *(channels * 2**block for block in range(_N_BLOCKS))]
        for number in range(1, _N_BLOCKS + 1):
            block = _ConvBlock(widths[number - 1], widths[number], pool=1 + (number < _N_BLOCKS))
            self.add_module(f"conv_block{number}", block)
        self.dim = widths[-1]
        self.fc1 = nn.Linear(self.dim, self.dim)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)  # as PANNs start; it matters untrained
        nn.init.zeros_(self.fc1.bias)

    def forward(
        self, log_mel: Float[Tensor, "batch 1 frame mel"]
    ) -> Float[Tensor, "batch short_frame dim"]:
        """Output of the last block, averaged over mel."""
        last = self.layers(log_mel)[str(_N_BLOCKS)]
        return rearrange(last.float().mean(dim=-1), "batch channel frame -> batch frame channel")

    def layers(self, log_mel: Float[Tensor, "batch 1 frame mel"]) -> dict[str, Tensor]:
        """Outputs of the blocks by number: [batch, channel, frame, mel]."""
        maps = self.bn0(log_mel.transpose(1, 3)).transpose(1, 3)  # statistics of each mel band
        outputs: dict[str, Tensor] = {}
        for number in range(1, _N_BLOCKS + 1):
            maps = self.get_submodule(f"conv_block{number}")(maps)
            outputs[str(number)] = maps
        return outputs

    def embed(self, pooled: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """The published embedding of frames, or of their pooled sum."""
        return self.fc1(pooled).relu()


class _ConvBlock(nn.Module):
    """Two convolutions, and an average over `pool` x `pool`."""

    def __init__(self, channels_in: int, channels_out: int, pool: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.pool = nn.AvgPool2d(pool)

    def forward(self, maps: Tensor) -> Tensor:
        maps = self.bn1(self.conv1(maps)).relu()
        return self.pool(self.bn2(self.conv2(maps)).relu())


class Cnn14Encoder(FrozenEncoder):
    """CNN14 behind the contract: one timestamp embedding per 320 ms.

    The scene embedding is the published one: mean plus maximum over the frames, then `fc1`. A
    timestamp embedding is that of its frame alone.
    """

    layer_strides = {  # noqa: RUF012 - FrozenEncoder takes any mapping
        str(number): min(2**number, _STRIDE) for number in range(1, _N_BLOCKS + 1)
    }

    def __init__(self, network: Cnn14, sample_rate: int = 16_000, window_s: float = 60.0) -> None:
        """Freeze `network`.

        Raises:
            ValueError: If there are no published weights for `sample_rate`.
        """
        front_end = Cnn14LogMel(sample_rate)
        self.sample_rate = sample_rate
        self.scene_embedding_size = self.timestamp_embedding_size = network.dim
        self.hop_samples = front_end.hop_samples
        self.stride_samples = _STRIDE * front_end.hop_samples
        # Frames are centred on 0 to 31 hops, their mean on 15.5.
        self.twice_first_center = (_STRIDE - 1) * front_end.hop_samples
        super().__init__(window_s)
        self.front_end, self.network = front_end, network
        self.freeze()

    def settings(self) -> dict[str, Any]:
        """Rate, and the samples after which context is cut."""
        return {"sample_rate": self.sample_rate, "window_samples": self.window_samples}

    def samples_for(self, n_frames: int) -> int:
        """The fewest samples from which the network makes so many output frames."""
        return (_STRIDE * n_frames - 1) * self.hop_samples

    def _frames(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame dim"]:
        return self.network(self.front_end(waveform))

    def _timestamp_embeddings(
        self, frames: Float[Tensor, "batch frame dim"]
    ) -> Float[Tensor, "batch frame dim"]:
        return self.network.embed(frames)

    def _pool(self, frames: Float[Tensor, "batch frame dim"]) -> Float[Tensor, "batch dim"]:
        return self.network.embed(mean_max_pool(frames))

    def _layers(self, waveform: Float[Tensor, "batch sample"]) -> dict[str, Tensor]:
        outputs = self.network.layers(self.front_end(waveform))
        return {name: output.transpose(2, 3) for name, output in outputs.items()}


def load_cnn14(weights: str | Path, sample_rate: int = 16_000) -> Cnn14Encoder:
    """CNN14 with published weights for `sample_rate`, 16000 or 32000.

    Raises:
        FileNotFoundError: If there is no such file; says where to get it.
        BrokenFileError: If it is broken, could run code, or is of another architecture or rate.
        ValueError: If there are no published weights for `sample_rate`.
    """
    if sample_rate not in SOURCES:
        raise ValueError(f"CNN14 has sample_rate {SAMPLE_RATES}, not {sample_rate}")
    path = Path(weights).expanduser()
    tensors = read_tensors(path, SOURCES[sample_rate])
    with torch.device("meta"):
        network = Cnn14()
    unused = ("spectrogram_extractor.", "logmel_extractor.", "fc_audioset.")
    fill(network, tensors, path, ignored=unused)
    _check_front_end(tensors, sample_rate, path)
    return Cnn14Encoder(network, sample_rate)


def untrained_cnn14(seed: int, sample_rate: int = 16_000) -> Cnn14Encoder:
    """CNN14 with random weights: a baseline for what training adds."""
    return Cnn14Encoder(seeded_network(Cnn14, seed), sample_rate)


def _check_front_end(weights: Mapping[str, Tensor], sample_rate: int, path: Path) -> None:
    """Refuse weights of another rate, which only the mel bank stored with them reveals."""
    if _MEL_BANK not in weights:
        raise BrokenFileError(
            path,
            f"lacks {_MEL_BANK}: the networks of all rates have the same shapes, and this mel bank "
            "alone says which one a file is of. Take the file as published",
        )
    found = weights[_MEL_BANK]
    if _is_mel_bank(found, sample_rate):
        return
    fitting = [rate for rate in SAMPLE_RATES if _is_mel_bank(found, rate)]
    advice = (
        f": it is of the {fitting[0]} Hz model, give sample_rate={fitting[0]}" if fitting else ""
    )
    raise BrokenFileError(
        path, f"its mel bank {list(found.shape)} is not that of CNN14 at {sample_rate} Hz{advice}"
    )


def _is_mel_bank(found: Tensor, sample_rate: int) -> bool:
    expected = Cnn14LogMel(sample_rate).mel_bank.T
    return found.shape == expected.shape and torch.allclose(
        found.float(), expected, rtol=0, atol=1e-3 * expected.max().item()
    )
