"""VGGish, with every layer of Table I in Niizumi et al. (2022) under the number it has there.

Clips are cut into segments of 96 log-mel frames (0.96 s) that know nothing of each other; an
incomplete one at the end is dropped. Each gives one 128-dimensional output frame.

Source:
    Hershey et al., 2017, "CNN architectures for large-scale audio classification"; the details are
    those of the released code.
"""

import re
from pathlib import Path
from typing import Any

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.models.frozen import FrozenEncoder
from byola_diff.models.weights import WeightsSource, fill, read_tensors, seeded_network

SOURCE = WeightsSource(
    "VGGish",
    "pytorch_vggish.pth",
    "https://github.com/tcvrick/audioset-vggish-tensorflow-to-pytorch/releases (v0.1), or the file "
    "of https://github.com/harritaylor/torchvggish/releases",
)

SAMPLE_RATE = 16_000
WINDOW_SAMPLES = 400
HOP_SAMPLES = 160
N_MELS = 64

_N_FFT = 512
_F_MIN_HZ, _F_MAX_HZ = 125.0, 7500.0
_SEGMENT_FRAMES = 96
_FC_REPEATS = 6
"""Frames of each fully connected layer per segment: as many as the last maps have after pooling."""


class VggishLogMel(nn.Module):
    """Waveform to the log-mel of VGGish; holds no weights, runs in float32 whatever autocast says.

    Magnitudes, not power; HTK's mel scale; triangles straight in mel, not in Hz, and of height one.
    No padding: `n` samples give `1 + (n - 400) // 160` frames.
    """

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
            return torch.log(magnitude @ self.mel_bank + 0.01)


class Vggish(nn.Module):
    """The network, on log-mels of one segment each; published weights have 4096 hidden units.

    Named as in the published files, with `fc` for the fully connected layers.
    """

    def __init__(self, hidden: int = 4096) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_conv(1, 64), nn.MaxPool2d(2),
            *_conv(64, 128), nn.MaxPool2d(2),
            *_conv(128, 256), *_conv(256, 256), nn.MaxPool2d(2),
            *_conv(256, 512), *_conv(512, 512), nn.MaxPool2d(2),
        )  # fmt: skip
        self.fc = nn.Sequential(
            nn.Linear(6 * 4 * 512, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, 128), nn.ReLU(),
        )  # fmt: skip

    def forward(self, log_mel: Float[Tensor, "segment 1 96 64"]) -> Float[Tensor, "segment 128"]:
        """Output of the last layer."""
        return self.fc(_flatten(self.features(log_mel)))

    def layers(self, log_mel: Float[Tensor, "segment 1 96 64"]) -> dict[str, Tensor]:
        """ReLU outputs by number: [segment, channel, time, mel] or [segment, dim]."""
        outputs: dict[str, Tensor] = {}
        values = log_mel
        for number, module in enumerate([*self.features, *self.fc], start=1):
            if module is self.fc[0]:
                values = _flatten(values)
            values = module(values)
            if isinstance(module, nn.ReLU):
                outputs[str(number)] = values
        return outputs


class VggishEncoder(FrozenEncoder):
    """VGGish behind the contract: one timestamp embedding per 0.96 s segment."""

    sample_rate = SAMPLE_RATE
    scene_embedding_size = 128
    timestamp_embedding_size = 128
    layer_strides = {  # noqa: RUF012 - FrozenEncoder takes any mapping
        **{"2": 1, "5": 2, "8": 4, "10": 4, "13": 8, "15": 8},
        **dict.fromkeys(("18", "20", "22"), _SEGMENT_FRAMES // _FC_REPEATS),
    }
    stride_samples = _SEGMENT_FRAMES * HOP_SAMPLES
    twice_first_center = (_SEGMENT_FRAMES - 1) * HOP_SAMPLES + WINDOW_SAMPLES

    def __init__(self, network: Vggish, window_s: float = 30.72) -> None:
        """Freeze `network`. Memory grows with `window_s`; the result does not depend on it."""
        super().__init__(window_s)
        self.front_end, self.network = VggishLogMel(), network
        self.freeze()

    def settings(self) -> dict[str, Any]:
        """Nothing: all of it is fixed."""
        return {}

    @property
    def finest_frames(self) -> int:
        """Log-mel frames of a segment, more than one frame of the coarsest layer spans."""
        return _SEGMENT_FRAMES

    def _frames(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame 128"]:
        outputs = self.network(self._segments(waveform))
        return rearrange(outputs, "(batch segment) dim -> batch segment dim", batch=len(waveform))

    def _layers(self, waveform: Float[Tensor, "batch sample"]) -> dict[str, Tensor]:
        outputs = self.network.layers(self._segments(waveform))
        return {name: _joined(output, len(waveform)) for name, output in outputs.items()}

    def _segments(self, waveform: Tensor) -> Float[Tensor, "segments 1 96 64"]:
        log_mel = self.front_end(waveform)
        segments = log_mel.unfold(1, _SEGMENT_FRAMES, _SEGMENT_FRAMES)
        return rearrange(segments, "batch segment mel time -> (batch segment) 1 time mel")


def load_vggish(weights: str | Path) -> VggishEncoder:
    """VGGish with weights of either published port; errors as of `read_tensors` and `fill`."""
    path = Path(weights).expanduser()
    tensors = {
        re.sub(r"^embeddings\.", "fc.", name): value
        for name, value in read_tensors(path, SOURCE).items()
    }
    with torch.device("meta"):
        network = Vggish()
    # The PCA of the released embeddings is no part of the encoder that papers evaluate.
    fill(network, tensors, path, ignored=("pproc.",))
    return VggishEncoder(network)


def untrained_vggish(seed: int) -> VggishEncoder:
    """VGGish with random weights: a baseline for what training adds."""
    return VggishEncoder(seeded_network(Vggish, seed))


def _conv(channels_in: int, channels_out: int) -> list[nn.Module]:
    return [nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1), nn.ReLU()]


def _flatten(maps: Tensor) -> Tensor:
    # Channels last: the order of TensorFlow, in which the weights were trained.
    return rearrange(maps, "segment channel time mel -> segment (time mel channel)")


def _joined(output: Tensor, batch: int) -> Tensor:
    """Segments of each clip one after the other: [batch, channel, mel, frame], [batch, frame, dim].

    Differs from the code of the paper, where frame 0 of all segments comes before frame 1 of any:
    the same for pooling over time, wrong for all else.
    """
    if output.ndim == 4:
        return rearrange(output, "(b segment) c time mel -> b c mel (segment time)", b=batch)
    return repeat(output, "(b segment) dim -> b (segment n) dim", b=batch, n=_FC_REPEATS)


def _mel_bank() -> Float[Tensor, "bin mel"]:
    def mel(hz: Tensor) -> Tensor:
        return 1127 * torch.log1p(hz / 700)

    low, high = mel(torch.tensor([_F_MIN_HZ, _F_MAX_HZ], dtype=torch.float64)).tolist()
    edges = torch.linspace(low, high, N_MELS + 2, dtype=torch.float64)
    bins = mel(torch.linspace(0, SAMPLE_RATE / 2, _N_FFT // 2 + 1, dtype=torch.float64))[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    bank = torch.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    # The mean of a frame, bin 0, lies below the lowest edge: it is in no band.
    return bank.clamp_min(0).float()
