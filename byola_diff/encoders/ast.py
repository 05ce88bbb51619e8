"""AST, the Audio Spectrogram Transformer, behind the contract of frozen encoders.

Source:
    Gong et al., 2021, "AST: Audio Spectrogram Transformer"; its layers as used by Niizumi et al.,
    2022, "Composing general audio representation by fusing multilayer features of a pre-trained
    model".
"""

from pathlib import Path
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.audio.waveform import checked_waveform
from byola_diff.encoders.ast_front_end import (
    AUDIOSET_STATISTICS,
    HOP_SAMPLES,
    N_MELS,
    SAMPLE_RATE,
    WINDOW_SAMPLES,
    ast_features,
)
from byola_diff.encoders.ast_original import read_original
from byola_diff.encoders.contract import package_versions
from byola_diff.encoders.manifest_statistics import Corpus, feature_moments
from byola_diff.encoders.pretrained_folder import (
    find_folder,
    read_network,
    read_settings,
)
from byola_diff.models.frozen import FrozenEncoder
from byola_diff.models.weights import WeightsSource
from byola_diff.storage import BrokenFileError

AST = WeightsSource(
    "AST",
    "a folder with config.json and model.safetensors, or the original file ast_audioset.pth",
    "https://huggingface.co/MIT/ast-finetuned-audioset-10-10-0.4593",
)
PATCH, PATCH_STRIDE = 16, 10
"""Side of a patch, and between patches, in frames as in mel bands."""
N_BANDS = (N_MELS - PATCH) // PATCH_STRIDE + 1
"""Patches along the mel axis: 12."""
_FIRST = WINDOW_SAMPLES + (PATCH - 1) * HOP_SAMPLES
"""Samples that one column of patches spans."""
_MODEL_SETTINGS = ("hidden_act", "layer_norm_eps", "num_attention_heads")


class AnyLengthEmbeddings(nn.Module):
    """The input embeddings of AST for any number of frames: positions fitted, nothing padded."""

    def __init__(self, embeddings: nn.Module) -> None:
        super().__init__()
        self.patch_embeddings = embeddings.get_submodule("patch_embeddings")
        self.cls_token = embeddings.get_parameter("cls_token")
        self.distillation_token = embeddings.get_parameter("distillation_token")
        self.position_embeddings = embeddings.get_parameter("position_embeddings")

    def forward(
        self, input_values: Float[Tensor, "batch frame mel"]
    ) -> Float[Tensor, "batch token dim"]:
        """CLS token, distillation token, and patches, band by band; all with their positions."""
        patches = self.patch_embeddings(input_values)
        tokens = [self.cls_token, self.distillation_token]
        own = torch.cat([token.expand(len(patches), -1, -1) for token in tokens], dim=1)
        positions = fitted_positions(self.position_embeddings, patches.shape[1] // N_BANDS)
        return torch.cat([own, patches], dim=1) + positions


def fitted_positions(
    positions: Float[Tensor, "1 token dim"], n_columns: int
) -> Float[Tensor, "1 fitted dim"]:
    """Position embeddings for a number of patch columns: the middle cut out, or stretched."""
    grid = rearrange(positions[:, 2:], "1 (band column) dim -> 1 dim band column", band=N_BANDS)
    n_known = grid.shape[-1]
    if n_columns <= n_known:
        start = n_known // 2 - n_columns // 2
        grid = grid[..., start : start + n_columns]
    else:
        grid = nn.functional.interpolate(grid, size=(N_BANDS, n_columns), mode="bilinear")
    patches = rearrange(grid, "1 dim band column -> 1 (band column) dim")
    return torch.cat([positions[:, :2], patches], dim=1)


class ASTEncoder(FrozenEncoder):
    """AST with 16 x 16 patches every 10 frames.

    A layer is one vector of a clip: the mean of the CLS and the distillation token behind that
    block, through the final layer norm. Of a clip longer than a window it is the mean over windows,
    weighted by their lengths. The scene embedding is the last layer.

    Timestamp embeddings are our choice, none being published: patches of the last layer through the
    final layer norm, averaged over the mel axis; one every 1600 samples.
    """

    sample_rate = SAMPLE_RATE
    stride_samples = PATCH_STRIDE * HOP_SAMPLES
    twice_first_center = _FIRST
    pooling = "first"

    def __init__(
        self, network: nn.Module, statistics: tuple[float, float], window_s: float = 30.0
    ) -> None:
        """Take a loaded network.

        Args:
            network: `ASTModel` of transformers.
            statistics: Mean and deviation of the filter bank over the data.
            window_s: Longest stretch read in one pass.
        """
        super().__init__(window_s)
        mean, deviation = statistics
        if not deviation > 0:
            raise ValueError(f"statistics are a mean and a positive deviation, not {statistics}")
        self.statistics = (float(mean), float(deviation))
        network.embeddings = AnyLengthEmbeddings(network.get_submodule("embeddings"))
        self.network = network
        config: Any = network.config
        self.scene_embedding_size = self.timestamp_embedding_size = config.hidden_size
        self.layer_strides = {str(block + 1): 1 for block in range(config.num_hidden_layers)}
        self.freeze()

    def settings(self) -> dict[str, Any]:
        """Plain values that the embeddings depend on, besides the weights."""
        config: Any = self.network.config
        return {
            "sample_rate": self.sample_rate,
            "statistics": list(self.statistics),
            "window_samples": self.window_samples,
            "network": {name: getattr(config, name) for name in _MODEL_SETTINGS},
            "packages": package_versions("transformers", "torchaudio"),
        }

    @torch.no_grad()
    def scene(self, waveform: Tensor) -> Float[Tensor, "batch dim"]:
        """The last layer."""
        return list(self.layers(waveform).values())[-1][:, 0]

    @torch.no_grad()
    def layers(self, waveform: Tensor) -> dict[str, Float[Tensor, "batch 1 dim"]]:
        """Every layer by name, in order."""
        waveform = self._padded(checked_waveform(waveform))
        totals = dict.fromkeys(self.layer_strides, torch.zeros((), device=waveform.device))
        n_total = 0
        for samples, _ in self._windows(waveform.shape[-1]):
            window = waveform[:, samples]
            n_total += window.shape[-1]
            for name, embedding in self._layers(window).items():
                totals[name] = totals[name] + embedding.float() * window.shape[-1]
        return {name: total / n_total for name, total in totals.items()}

    def samples_for(self, n_frames: int) -> int:
        """The fewest samples from which the network makes so many output frames."""
        return _FIRST + (n_frames - 1) * self.stride_samples

    def _padded(self, waveform: Tensor, n_samples: int = 0) -> Tensor:
        # The mean is that of the clip: taken before zeros are added or windows cut.
        return super()._padded(waveform - waveform.mean(dim=1, keepdim=True), n_samples)

    def _layers(self, waveform: Float[Tensor, "batch sample"]) -> dict[str, Tensor]:
        features = ast_features(waveform, self.statistics)
        states = self.network(features, output_hidden_states=True).hidden_states
        final_norm = self.network.get_submodule("layernorm")
        return {
            name: final_norm(state[:, :2]).float().mean(dim=1, keepdim=True)
            for name, state in zip(self.layer_strides, states[1:], strict=True)
        }

    def _frames(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame dim"]:
        tokens = self.network(ast_features(waveform, self.statistics)).last_hidden_state
        patches = tokens[:, 2:]
        columns = rearrange(patches, "batch (band frame) dim -> batch band frame dim", band=N_BANDS)
        return columns.float().mean(dim=1)


def load_ast(
    weights: Path | str,
    statistics: tuple[float, float] | Literal["audioset", "task"] | None = None,
    window_s: float = 30.0,
    corpus: Corpus | None = None,
) -> ASTEncoder:
    """AST from a folder, a name in the download cache, or the original ast_audioset.pth.

    Args:
        weights: The folder, the name, or the file.
        statistics: Mean and deviation of the filter bank, or whose they are: "audioset", or those
            of the "task", as in EVAR. None: those that the folder names, else AudioSet's.
        window_s: Longest stretch read in one pass.
        corpus: The task, for its statistics.

    Raises:
        FileNotFoundError: If there is no such folder or file; says where to get it.
        BrokenFileError: If it is of another architecture, patch grid or sampling rate, or weights
            are missing.
        ValueError: If statistics of the task are asked for without one.
    """
    network, values = _network(weights)
    if statistics == "task":
        values = _task_statistics(corpus)
    elif statistics == "audioset":
        values = AUDIOSET_STATISTICS
    elif statistics is not None:
        values = statistics
    return ASTEncoder(network, values, window_s)


def _network(weights: Path | str) -> tuple[nn.Module, tuple[float, float]]:
    """The network, and the statistics that come with it."""
    if Path(weights).suffix == ".pth":
        return read_original(Path(weights), AST), AUDIOSET_STATISTICS
    folder = find_folder(weights, AST)
    config, preprocessor = read_settings(folder, "audio-spectrogram-transformer")
    grid = {"patch_size": PATCH, "frequency_stride": PATCH_STRIDE, "time_stride": PATCH_STRIDE}
    for name, value in {**grid, "num_mel_bins": N_MELS}.items():
        if config.get(name, value) != value:
            raise BrokenFileError(folder / "config.json", f"{name} is {config[name]}, not {value}")
    mean, deviation = AUDIOSET_STATISTICS
    own = (preprocessor.get("mean", mean), preprocessor.get("std", deviation))
    return read_network(folder, "ASTModel", "ASTConfig", {}), own


def _task_statistics(corpus: Corpus | None) -> tuple[float, float]:
    if corpus is None:
        raise ValueError(
            "statistics: task, for AST, needs a manifest, whose training clips they are taken of: "
            "give one, or statistics: audioset"
        )
    return feature_moments(corpus, SAMPLE_RATE, _raw_features)


def _raw_features(waveform: Float[Tensor, "1 sample"]) -> Float[Tensor, "1 1 frame mel"]:
    """What an encoder sees of a clip, before it is scaled."""
    centred = waveform - waveform.mean(dim=1, keepdim=True)
    padded = nn.functional.pad(centred, (0, max(0, _FIRST - centred.shape[1])))
    return ast_features(padded, (0.0, 0.5))[:, None]
