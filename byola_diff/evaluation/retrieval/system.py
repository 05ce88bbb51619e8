"""A trained retrieval system as a folder: system.safetensors and system.json.

It holds no encoders: their content hashes say with which ones it works.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Float32
from safetensors.torch import save_file
from torch import Tensor

from byola_diff.atomic import atomic_path, write_text
from byola_diff.evaluation.retrieval.network import RetrievalNetwork
from byola_diff.models.weights import WeightsSource, fill, read_tensors
from byola_diff.storage import BrokenFileError, sha256

FORMAT = 1

_WEIGHTS, _ABOUT = "system.safetensors", "system.json"
_NETWORK, _MEAN, _DEVIATION = "network.", "audio_mean", "audio_deviation"
_SOURCE = WeightsSource("a retrieval system", _WEIGHTS, "evaluate.py retrieval")


@dataclass(frozen=True)
class SystemAbout:
    """What a system was trained with."""

    scene: str
    seed: int
    best_epoch: int
    encoder: str
    """The word that names it."""
    encoder_sha256: str
    text_encoder: str
    text_encoder_sha256: str
    audio_features: int
    text_features: int
    dim: int
    classes: tuple[str, ...]
    pairs: str
    """Path of the table, for encoders that took their statistics from its clips."""
    words: tuple[str, ...] | None = None
    """All that were in its texts, where the text encoder knows no others."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the training."""


@dataclass(frozen=True)
class RetrievalSystem:
    """Adapters with the standardisation of audio embeddings that they were trained on."""

    network: RetrievalNetwork
    mean: Float32[Tensor, " feature"]
    deviation: Float32[Tensor, " feature"]
    about: SystemAbout

    @torch.no_grad()
    def query(
        self, audio: Float[Tensor, "batch feature"], text: Float[Tensor, "batch width"]
    ) -> Float[Tensor, "batch dim"]:
        """Unit vectors of queries, from embeddings as the encoders give them."""
        return self.network.query(self._standard(audio), text)

    @torch.no_grad()
    def target(self, audio: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch dim"]:
        """Unit vectors of candidates, likewise."""
        return self.network.target(self._standard(audio))

    def _standard(self, audio: Tensor) -> Tensor:
        return (audio - self.mean) / self.deviation


def save_system(system: RetrievalSystem, folder: Path) -> None:
    """Write the two files, the one with the hash of the other last."""
    weights = {f"{_NETWORK}{name}": value for name, value in system.network.state_dict().items()}
    weights |= {_MEAN: system.mean, _DEVIATION: system.deviation}
    with atomic_path(folder / _WEIGHTS) as temporary:
        save_file({name: value.cpu().contiguous() for name, value in weights.items()}, temporary)
    about = {"format": FORMAT, "sha256": sha256(folder / _WEIGHTS), **asdict(system.about)}
    write_text(folder / _ABOUT, json.dumps(about, indent=2) + "\n")


def load_system(folder: Path) -> RetrievalSystem:
    """The system of a folder, on the CPU.

    Raises:
        FileNotFoundError: If there is none; names those of single seeds below the folder.
        BrokenFileError: If a file is altered, truncated or of another kind.
    """
    if not (folder / _ABOUT).is_file():
        below = sorted(str(path.parent) for path in folder.glob(f"*/{_ABOUT}"))
        remedy = f"give one of {', '.join(below)}" if below else "evaluate.py retrieval writes them"
        raise FileNotFoundError(f"no retrieval system in {folder}: {remedy}")
    about, digest = _read_about(folder / _ABOUT)
    path = folder / _WEIGHTS
    weights = read_tensors(path, _SOURCE)
    if sha256(path) != digest:
        raise BrokenFileError(path, f"its content is not that of {_ABOUT}: altered or replaced")
    network = RetrievalNetwork(
        about.audio_features, about.text_features, len(about.classes), about.dim
    )
    own = {k.removeprefix(_NETWORK): v for k, v in weights.items() if k.startswith(_NETWORK)}
    fill(network, own, path)
    statistics = [weights.get(name) for name in (_MEAN, _DEVIATION)]
    if not all(s is not None and s.shape == (about.audio_features,) for s in statistics):
        raise BrokenFileError(path, "lacks the statistics of audio embeddings")
    mean, deviation = (value.float() for value in statistics if value is not None)
    return RetrievalSystem(network.eval().requires_grad_(False), mean, deviation, about)


def _read_about(path: Path) -> tuple[SystemAbout, str]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw.pop("format") != FORMAT:
            raise ValueError("of another format")
        digest = raw.pop("sha256")
        words = None if raw.get("words") is None else tuple(raw["words"])
        about = SystemAbout(**{**raw, "classes": tuple(raw["classes"]), "words": words})
        sizes = (about.audio_features, about.text_features, about.dim)
        if not all(isinstance(size, int) and size > 0 for size in sizes):
            raise ValueError(f"sizes {sizes}")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BrokenFileError(path, f"is not of a retrieval system ({error!r})") from error
    return about, digest
