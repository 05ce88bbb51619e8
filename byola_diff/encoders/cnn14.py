"""CNN14 of PANNs at 16 or 32 kHz, with its six blocks as layers "1" to "6".

Kong et al., 2020, "PANNs: large-scale pretrained audio neural networks for audio pattern
recognition"; details are those of the released code. Blocks 1 to 5 each halve time: 32 log-mel
frames of 10 ms give one output frame.
"""

from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.audio.log_mel import LogMel
from byola_diff.models.frozen import FrozenEncoder
from byola_diff.models.pooling import mean_max_pool
from byola_diff.models.weights import WeightsSource, fill, read_tensors, seeded_network
from byola_diff.storage import BrokenFileError

_ZENODO = "https://zenodo.org/records/3987831"
SOURCES = {
    16_000: WeightsSource("CNN14 (16 kHz)", "Cnn14_16k_mAP=0.438.pth", _ZENODO),
    32_000: WeightsSource("CNN14 (32 kHz)", "Cnn14_mAP=0.431.pth", _ZENODO),
}
"""By sampling rate in Hz."""
N_MELS = 64
_BAND_HZ = {16_000: (50.0, 8000.0), 32_000: (50.0, 14_000.0)}
_N_BLOCKS = 6
_STRIDE = 32
_MEL_BANK = "logmel_extractor.melW"


class Cnn14LogMel(LogMel):
    """Waveform to the log-mel of CNN14, which is in dB. Frames are centred."""

    def __init__(self, sample_rate: int) -> None:
        """Precompute window and mel bank; a ValueError for a rate without published weights."""
        if sample_rate not in SOURCES:
            raise ValueError(f"CNN14 has sample_rate {tuple(SOURCES)}, not {sample_rate}")
        n_fft, hop_samples = 512 * sample_rate // 16_000, sample_rate // 100
        super().__init__(sample_rate, n_fft, n_fft, hop_samples, N_MELS, *_BAND_HZ[sample_rate])

    def forward(
        self, waveform: Float[Tensor, "batch sample"]
    ) -> Float[Tensor, "batch 1 frame mel"]:
        """Mel power in dB, -100 or more; waveforms must be longer than half a window."""
        with torch.autocast(waveform.device.type, enabled=False):
            mel = self.mel_power(waveform.float())
            return 10 * torch.log10(mel.clamp_min(1e-10)).transpose(1, 2)[:, None]


class Cnn14(nn.Module):
    """The network, named as in the published files, without its classifier.

    The first block has 64 channels in published weights, each other twice those before it.
    """

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(N_MELS)
        widths = [1, *(channels * 2**block for block in range(_N_BLOCKS))]
        for number in range(1, _N_BLOCKS + 1):
            block = _conv_block(widths[number - 1], widths[number], pool=1 + (number < _N_BLOCKS))
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


def _conv_block(channels_in: int, channels_out: int, pool: int) -> nn.Sequential:
    """Two convolutions, and an average over `pool` x `pool`."""
    block = nn.Sequential()
    for number, width in ((1, channels_in), (2, channels_out)):
        convolution = nn.Conv2d(width, channels_out, 3, padding=1, bias=False)
        block.add_module(f"conv{number}", convolution)
        block.add_module(f"bn{number}", nn.BatchNorm2d(channels_out))
        block.add_module(f"relu{number}", nn.ReLU())
    block.add_module("pool", nn.AvgPool2d(pool))
    return block


class Cnn14Encoder(FrozenEncoder):
    """CNN14 behind the contract: one timestamp embedding per 320 ms.

    The scene embedding is the published one: mean plus maximum over the frames, then `fc1`. A
    timestamp embedding is that of its frame alone.
    """

    layer_strides = {  # noqa: RUF012 - FrozenEncoder takes any mapping
        str(number): min(2**number, _STRIDE) for number in range(1, _N_BLOCKS + 1)
    }

    def __init__(self, network: Cnn14, sample_rate: int = 16_000, window_s: float = 60.0) -> None:
        """Freeze `network`; a ValueError for a rate without published weights."""
        front_end = Cnn14LogMel(sample_rate)
        self.sample_rate = sample_rate
        self.scene_embedding_size = self.timestamp_embedding_size = network.dim
        self.stride_samples = _STRIDE * front_end.hop_samples
        # Frames are centred on 0 to 31 hops, their mean on 15.5.
        self.twice_first_center = (_STRIDE - 1) * front_end.hop_samples
        super().__init__(window_s)
        self.front_end, self.network = front_end, network
        self.freeze()

    def settings(self) -> dict[str, Any]:
        """Rate, and the samples after which context is cut."""
        return {"sample_rate": self.sample_rate, "window_samples": self.window_samples}

    def _frames(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame dim"]:
        return self.network(self.front_end(waveform))

    def _timestamps(self, clips: Tensor, n_frames: int) -> Float[Tensor, "batch frame dim"]:
        return self.network.embed(super()._timestamps(clips, n_frames)).float()

    def _pool(self, frames: Float[Tensor, "batch frame dim"]) -> Float[Tensor, "batch dim"]:
        return self.network.embed(mean_max_pool(frames))

    def _layers(self, waveform: Float[Tensor, "batch sample"]) -> dict[str, Tensor]:
        outputs = self.network.layers(self.front_end(waveform))
        return {name: output.transpose(2, 3) for name, output in outputs.items()}


def load_cnn14(weights: str | Path, sample_rate: int = 16_000) -> Cnn14Encoder:
    """CNN14 with published weights for `sample_rate`, 16000 or 32000.

    Errors are those of `read_tensors` and `fill`; a BrokenFileError too for weights of another
    rate, and a ValueError if there are none for `sample_rate`.
    """
    path, expected = Path(weights).expanduser(), Cnn14LogMel(sample_rate).mel_bank
    tensors = read_tensors(path, SOURCES[sample_rate])
    with torch.device("meta"):
        network = Cnn14()
    unused = ("spectrogram_extractor.", "logmel_extractor.", "fc_audioset.")
    fill(network, tensors, path, ignored=unused)
    if _MEL_BANK not in tensors:
        raise BrokenFileError(
            path,
            f"lacks {_MEL_BANK}: the networks of all rates have the same shapes, and this mel bank "
            "alone says which one a file is of. Take the file as published",
        )
    found = tensors[_MEL_BANK]
    if not _are_close(found, expected):
        fitting = [rate for rate in SOURCES if _are_close(found, Cnn14LogMel(rate).mel_bank)]
        fault = f"its mel bank {list(found.shape)} is not that of CNN14 at {sample_rate} Hz"
        if fitting:
            fault += f": it is of the {fitting[0]} Hz model, give sample_rate={fitting[0]}"
        raise BrokenFileError(path, fault)
    return Cnn14Encoder(network, sample_rate)


def untrained_cnn14(seed: int, sample_rate: int = 16_000) -> Cnn14Encoder:
    """CNN14 with random weights: a baseline for what training adds."""
    return Cnn14Encoder(seeded_network(Cnn14, seed), sample_rate)


def _are_close(found: Tensor, mel_bank: Float[Tensor, "mel bin"]) -> bool:
    return found.shape == mel_bank.T.shape and torch.allclose(
        found.float(), mel_bank.T, rtol=0, atol=1e-3 * mel_bank.max().item()
    )
