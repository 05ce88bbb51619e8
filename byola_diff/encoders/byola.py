"""Released BYOL-A weights: v1 and v2 as they are, and v1 with its layers side by side.

Source:
    Niizumi et al., 2021, "BYOL for Audio" (v1), and 2023, "BYOL for Audio: Exploring pre-trained
    general-purpose audio representations" (v2).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.encoders.checked_call import checked_call
from byola_diff.encoders.contract import FrozenEncoder
from byola_diff.encoders.manifest_statistics import Corpus, log_mel_statistics
from byola_diff.models.cnn import AudioNTT2020
from byola_diff.models.encoder import AudioEncoder
from byola_diff.models.weights import build_network, read_weights
from byola_diff.storage import BrokenFileError

_LAYERS = ("conv1", "conv2", "conv3", "fc1", "fc2")
_NO_WINDOWS_S = 86_400.0
"""A day: `AudioEncoder` reads long clips in windows of its own, without loss at the seams."""


def load_byola(
    weights: Path,
    corpus: Corpus | None = None,
    statistics: tuple[float, float] | None = None,
    front_end: Mapping[str, Any] | None = None,
) -> AudioEncoder:
    """BYOL-A v1 or v2 from a `.pth` file, of any width.

    Args:
        weights: The file. The architecture is told from the tensors in it.
        corpus: For the statistics, which the file lacks: of its training clips.
        statistics: Mean and deviation of the log-mels of the training data, if known.
        front_end: Arguments of `LogMel` that differ from BYOL-A's.

    Raises:
        FileNotFoundError: If there is no such file; says where to get it.
        BrokenFileError: If it is broken, could run code, or is of another architecture.
        ValueError: If there is neither a corpus nor statistics, or a wrong argument of `LogMel`.
    """
    if weights.is_dir():
        raise ValueError(f"{weights} is a folder: name a bundle by its folder alone")
    if not weights.is_file():
        raise FileNotFoundError(
            f"no BYOL-A weights at {weights}: AudioNTT2020-BYOLA-64x96d2048.pth and others are in "
            "pretrained_weights/ and v2/ of https://github.com/nttcslab/byol-a"
        )
    network = build_network(read_weights(weights), weights)
    settings = {"n_mels": network.n_mels, **(front_end or {})}
    log_mel = checked_call(LogMel, {}, settings, "front_end")
    if statistics is None:
        if corpus is None:
            raise ValueError(
                f"{weights} holds weights without normalisation statistics: give a manifest, to "
                "take those of its clips, or a YAML file with 'options: {statistics: [mean, std]}'"
            )
        statistics = log_mel_statistics(corpus, log_mel)
    return AudioEncoder(log_mel, Normalize(*statistics), network)


def load_byola_layers(
    weights: Path,
    corpus: Corpus | None = None,
    statistics: tuple[float, float] | None = None,
    front_end: Mapping[str, Any] | None = None,
) -> "LayeredEncoder":
    """BYOL-A v1 that gives the outputs of all its layers, from a `.pth` file of 2048 or wider.

    The arguments are those of `load_byola`.

    Raises:
        FileNotFoundError: If there is no such file; says where to get it.
        BrokenFileError: If it is broken, could run code, or is of another architecture or width.
        ValueError: If there is neither a corpus nor statistics.
    """
    encoder = load_byola(weights, corpus, statistics, front_end)
    try:
        return LayeredEncoder(encoder)
    except ValueError as error:
        raise BrokenFileError(weights, str(error)) from error


class LayeredEncoder(FrozenEncoder):
    """AudioNTT2020X: five layers of AudioNTT2020 as features of one width and one frame count."""

    def __init__(self, encoder: AudioEncoder) -> None:
        """Take AudioNTT2020 behind its front end.

        Raises:
            ValueError: If it is another network, or narrower than the first of its layers.
        """
        network, log_mel = encoder.network, encoder.log_mel
        if not isinstance(network, AudioNTT2020):
            raise ValueError(
                f"the layered encoder is made of AudioNTT2020 (v1), not {type(network).__name__}: "
                "take layers of v2 as in byola[conv1,output]:FILE"
            )
        widest = network.conv_dim * network.frame_stride // 2
        if network.dim < widest:
            raise ValueError(
                f"layer conv1 has {widest} features a frame, more than the width of "
                f"{network.dim} that all layers get: use weights of {widest} or wider, or fuse "
                "layers of their own widths, as in byola[conv1,output]:FILE"
            )
        self.sample_rate = encoder.sample_rate
        self.stride_samples = network.frame_stride * log_mel.hop_samples
        self.twice_first_center = (network.frame_stride - 1) * log_mel.hop_samples
        super().__init__(_NO_WINDOWS_S)
        self.encoder = encoder
        self.dim = network.dim
        self.layer_strides: Mapping[str, int] = dict.fromkeys(_LAYERS, 1)
        self.scene_embedding_size = self.timestamp_embedding_size = len(_LAYERS) * network.dim
        self.freeze()

    def settings(self) -> dict[str, Any]:
        """Plain values that the embeddings depend on, besides the weights."""
        return {"layers": list(_LAYERS), "log_mel": self.encoder.log_mel.settings()}

    def samples_for(self, n_frames: int) -> int:
        """The fewest samples from which the network makes so many output frames."""
        log_mel = self.encoder.log_mel
        n_log_mel_frames = n_frames * self.encoder.network.frame_stride
        return max((n_log_mel_frames - 1) * log_mel.hop_samples, log_mel.min_samples)

    def _layers(self, waveform: Float[Tensor, "batch sample"]) -> dict[str, Tensor]:
        maps = self.encoder.layers(waveform)
        n_frames = maps["fc1"].shape[1]
        return {name: layer_features(maps[name], n_frames, self.dim) for name in _LAYERS}

    def _frames(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame dim"]:
        return torch.cat(list(self._layers(waveform).values()), dim=-1)


def layer_features(layer: Tensor, n_frames: int, dim: int) -> Float[Tensor, "batch frame dim"]:
    """A layer [batch, channel, mel, frame] or [batch, frame, dim] as `n_frames` vectors of `dim`.

    Neighbouring frames are averaged in pairs until no more than `n_frames` are left. Of an odd
    count, the last two are first averaged into one. Zeros fill the vectors on the right.
    """
    # Channel before mel: the opposite of what goes into fc1, as published.
    frames = rearrange(layer, "b c f t -> b t (c f)") if layer.ndim == 4 else layer
    while frames.shape[1] > n_frames:
        if frames.shape[1] % 2:
            last = frames[:, -2:].mean(dim=1, keepdim=True)
            frames = torch.cat([frames[:, :-2], last], dim=1)
        frames = rearrange(frames, "b (t two) d -> b t two d", two=2).mean(dim=2)
    return nn.functional.pad(frames, (0, dim - frames.shape[-1]))
