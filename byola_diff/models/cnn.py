"""The two BYOL-A encoders: convolutions over the log-mel image, then an MLP on each frame.

Parameter names and the order of flattening are those of the released weights, which load as they
are.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from byola_diff.models.dropout import FastDropout
from byola_diff.models.norm_relu_pool import norm_relu_pool


class AudioNTT(nn.Module, ABC):
    """What both encoders share: `log_mel` to frame embeddings, and every layer by name."""

    n_mels: int
    dim: int
    frame_stride: int
    """Input frames per output frame."""
    features: nn.Sequential
    fc: nn.Sequential

    def __init__(self, n_mels: int, dim: int, n_blocks: int) -> None:
        super().__init__()
        if n_mels % 2**n_blocks:
            raise ValueError(f"n_mels must be a multiple of {2**n_blocks}, not {n_mels}")
        self.n_mels, self.dim, self.frame_stride = n_mels, dim, 2**n_blocks
        blocks = [
            _conv_block(1 if block == 0 else _CHANNELS, _CHANNELS) for block in range(n_blocks)
        ]
        self.features = nn.Sequential(*[layer for block in blocks for layer in block])
        self.conv_dim = _CHANNELS * (n_mels // self.frame_stride)

    def forward(
        self, log_mel: Float[Tensor, "batch 1 mel frame"]
    ) -> Float[Tensor, "batch short_frame dim"]:
        """One embedding for every `frame_stride` input frames; a remainder is dropped."""
        maps = log_mel
        for block in self._blocks():
            maps = _run_block(block, maps)
        frames = _flatten_maps(maps)
        return self._embedding(frames, self.fc(frames))

    def layers(self, log_mel: Float[Tensor, "batch 1 mel frame"]) -> dict[str, Tensor]:
        """All layers in order: conv maps [batch, channel, mel, frame], then [batch, frame, dim]."""
        outputs, maps = {}, log_mel
        for index, block in enumerate(self._blocks(), start=1):
            maps = _run_block(block, maps)
            outputs[f"conv{index}"] = maps
        frames = _flatten_maps(maps)
        outputs["fc1"] = self.fc[1](self.fc[0](frames))
        outputs["fc2"] = self.fc[4](self.fc[3](self.fc[2](outputs["fc1"])))
        outputs["output"] = self._embedding(frames, outputs["fc2"])
        return outputs

    def _blocks(self) -> list[list[nn.Module]]:
        layers = list(self.features)
        return [layers[start : start + 4] for start in range(0, len(layers), 4)]

    @abstractmethod
    def _embedding(self, frames: Tensor, hidden: Tensor) -> Tensor:
        """Embeddings from conv features of frames and the output of the MLP on them."""


class AudioNTT2020(AudioNTT):
    """BYOL-A v1: three blocks, so 96 input frames give 12 embeddings of `dim`.

    Source:
        Niizumi et al., 2021, "BYOL for Audio: Self-supervised learning for general-purpose audio
        representation", Table I.
    """

    def __init__(self, n_mels: int = 64, dim: int = 2048) -> None:
        super().__init__(n_mels, dim, n_blocks=3)
        self.fc = _frame_mlp(self.conv_dim, dim, dim)

    def _embedding(self, frames: Tensor, hidden: Tensor) -> Tensor:
        return hidden


class AudioNTT2022(AudioNTT):
    """BYOL-A v2: two blocks, so 96 input frames give 24; conv features skip past the MLP.

    Source:
        Niizumi et al., 2023, "BYOL for Audio: Exploring pre-trained general-purpose audio
        representations".
    """

    def __init__(self, n_mels: int = 64, dim: int = 3072) -> None:
        super().__init__(n_mels, dim, n_blocks=2)
        if dim <= self.conv_dim:
            raise ValueError(f"dim must exceed the {self.conv_dim} conv features, not {dim}")
        self.fc = _frame_mlp(self.conv_dim, 2048, dim - self.conv_dim)

    def _embedding(self, frames: Tensor, hidden: Tensor) -> Tensor:
        return torch.cat([frames, hidden], dim=-1)


ENCODERS: dict[str, Callable[[int, int], AudioNTT]] = {
    "AudioNTT2020": AudioNTT2020,
    "AudioNTT2022": AudioNTT2022,
}

_CHANNELS = 64


def _conv_block(channels_in: int, channels_out: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels_in, channels_out, kernel_size=3, stride=1, padding=1),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=2, stride=2),
    ]


def _run_block(block: Sequence[nn.Module], maps: Tensor) -> Tensor:
    convolution, norm, relu, pool = block
    if not norm.training:
        # The same but for rounding: one pass over the maps instead of four.
        return relu(pool(_normed_convolution(convolution, norm, maps)))
    maps = convolution(maps)
    is_ours = maps.device.type == "cpu" and not torch.compiler.is_compiling()
    if is_ours and isinstance(norm, nn.BatchNorm2d):
        return norm_relu_pool(maps, norm)  # the same, in a fraction of the time
    return pool(relu(norm(maps)))


def _normed_convolution(convolution: nn.Module, norm: nn.Module, maps: Tensor) -> Tensor:
    """`norm(convolution(maps))` by fixed statistics, as one convolution with scaled kernels."""
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d | nn.SyncBatchNorm)
    assert convolution.bias is not None
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    kernels = convolution.weight * scale[:, None, None, None]
    bias = (convolution.bias - norm.running_mean) * scale + norm.bias
    return nn.functional.conv2d(maps, kernels, bias, padding=1)


def _frame_mlp(dim_in: int, dim_hidden: int, dim_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(dim_in, dim_hidden),
        nn.ReLU(),
        FastDropout(0.3),
        nn.Linear(dim_hidden, dim_out),
        nn.ReLU(),
    )


def _flatten_maps(maps: Tensor) -> Tensor:
    # Mel before channel: the order in which the released weights were trained.
    return rearrange(maps, "batch channel mel frame -> batch frame (mel channel)")


@contextmanager
def hold_running_statistics(network: nn.Module) -> Iterator[None]:
    """Within, batch normalisation in training mode leaves its running statistics as they are."""
    norms = [each for each in network.modules() if isinstance(each, _BatchNorm)]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
