"""BYOL-A: released weights of v1 and v2, v1 with its layers side by side, and random weights.

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
from byola_diff.audio.normalize import Normalize, corpus_statistics
from byola_diff.encoders.manifest_statistics import Corpus, log_mel_moments
from byola_diff.encoders.options import call_with_options
from byola_diff.models.cnn import ENCODERS, AudioNTT, AudioNTT2020
from byola_diff.models.encoder import AudioEncoder
from byola_diff.models.weights import read_byola, seeded_network
from byola_diff.sounds import training_batch
from byola_diff.storage import BrokenFileError

_LAYERS = ("conv1", "conv2", "conv3", "fc1", "fc2")
_STATISTICS_CLIPS = 1000


def load_byola(
    weights: Path,
    corpus: Corpus | None = None,
    statistics: tuple[float, float] | None = None,
    front_end: Mapping[str, Any] | None = None,
    layered: bool = False,
) -> AudioEncoder:
    """BYOL-A v1 or v2 from a `.pth` file, of any width; its tensors show which of the two it is.

    The file lacks statistics, mean and deviation of log-mels: they are given, or those of the
    training clips of the corpus. `front_end` holds arguments of `LogMel` that differ from BYOL-A's.
    If `layered`, it gives the outputs of all layers side by side: of v1, 2048 or wider.

    Raises:
        FileNotFoundError: If there is no such file; says where to get it.
        BrokenFileError: If it is broken, could run code, or is of another architecture or width.
        ValueError: If there is neither a corpus nor statistics, or a wrong argument of `LogMel`.
    """
    if weights.is_dir():
        raise ValueError(f"{weights} is a folder: name a bundle by its folder alone")
    network = read_byola(weights)
    options = {"n_mels": network.n_mels, **(front_end or {})}
    log_mel = call_with_options(LogMel, options, "front_end")
    if statistics is None:
        if corpus is None:
            raise ValueError(
                f"{weights} holds weights without normalisation statistics: give a manifest, to "
                "take those of its clips, or a YAML file with 'options: {statistics: [mean, std]}'"
            )
        statistics = log_mel_moments(corpus, log_mel)
    normalize = Normalize(*statistics)
    if not layered:
        return AudioEncoder(log_mel, normalize, network)
    try:
        return LayeredEncoder(log_mel, normalize, network)
    except ValueError as error:
        raise BrokenFileError(weights, str(error)) from error


class LayeredEncoder(AudioEncoder):
    """AudioNTT2020X: five layers of AudioNTT2020 as features of one width and one frame count."""

    def __init__(self, log_mel: LogMel, normalize: Normalize, network: AudioNTT) -> None:
        """A ValueError for another network, or one narrower than the first of its layers."""
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
        super().__init__(log_mel, normalize, network)
        self.layer_strides = dict.fromkeys(_LAYERS, 1)
        self.scene_embedding_size = self.timestamp_embedding_size = len(_LAYERS) * network.dim

    def _layers(self, waveform: Float[Tensor, "batch sample"]) -> dict[str, Tensor]:
        maps = {name: layer.float() for name, layer in super()._layers(waveform).items()}
        n_frames = maps["fc1"].shape[1]
        return {name: layer_features(maps[name], n_frames, self.network.dim) for name in _LAYERS}

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


def untrained_like(encoder: AudioEncoder, seed: int) -> AudioEncoder:
    """Random weights in front end, statistics and architecture of `encoder`: a baseline for it."""
    known = encoder.network
    build = ENCODERS[type(known).__name__]
    network = seeded_network(lambda: build(known.n_mels, known.dim), seed)
    return AudioEncoder(encoder.log_mel, encoder.normalize, network)


def untrained_network(name: str, dim: int, seed: int, corpus: Corpus | None = None) -> AudioEncoder:
    """Random weights in one of `ENCODERS`, `dim` wide, behind the default front end.

    Statistics are those of the training clips of the corpus, or else of procedural sounds. A
    ValueError if the architecture can't be of that width.
    """
    log_mel = LogMel()
    try:
        network = seeded_network(lambda: ENCODERS[name](log_mel.n_mels, dim), seed)
    except ValueError as error:
        raise ValueError(
            f"untrained:{name}:{dim}: the number is the dimension (dim) of the embeddings of "
            f"{name}: {error}"
        ) from None
    if corpus:
        statistics = log_mel_moments(corpus, log_mel)
    else:
        rate, batches = log_mel.sample_rate, torch.arange(_STATISTICS_CLIPS).split(100)
        sounds = (training_batch(0, batch, rate, rate) for batch in batches)
        statistics = corpus_statistics(map(log_mel, sounds))
    return AudioEncoder(log_mel, Normalize(*statistics), network)
