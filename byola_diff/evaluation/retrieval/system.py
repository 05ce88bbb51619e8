"""A trained retrieval system as a folder: system.safetensors and system.json.

It holds no encoders: their content hashes say with which ones it works.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Float32
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from safetensors.torch import save
from torch import Tensor

from byola_diff.atomic import atomic_path, write_text
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.retrieval.network import RetrievalNetwork
from byola_diff.models.weights import WeightsSource, fill, read_tensors, select_weights
from byola_diff.scores.write import file_name
from byola_diff.storage import BrokenFileError, check_seal, sealed_json, sha256
from byola_diff.tables.validation import fault

_WEIGHTS, _ABOUT = "system.safetensors", "system.json"
_NETWORK, _MEAN, _DEVIATION = "network.", "audio_mean", "audio_deviation"
_SOURCE = WeightsSource("a retrieval system", _WEIGHTS, "evaluate.py retrieval")


class SystemAbout(BaseModel):
    """What a system was trained with: the content of system.json."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1, 2] = 2
    """Format 1 had neither its own hash nor the statistics."""
    sha256: str = ""
    """Hash of system.safetensors, known once that is written."""
    scene: str
    seed: int
    best_epoch: int
    encoder: str
    """The word that names it."""
    encoder_sha256: str
    text_encoder: str
    text_encoder_sha256: str
    audio_features: PositiveInt
    text_features: PositiveInt
    dim: PositiveInt
    classes: tuple[str, ...]
    pairs: str
    """Path of the table."""
    statistics: tuple[tuple[float, float], ...] | None = None
    """Statistics of the training clips that the encoder took: see `NamedEncoder`."""
    words: tuple[str, ...] | None = None
    """All that were in its texts, where the text encoder knows no others."""
    settings: dict[str, Any] = {}
    """Settings of the training."""
    file_sha256: str = Field("", exclude=True)


class RetrievalSystem(NamedTuple):
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
        return self.network.query((audio - self.mean) / self.deviation, text)

    @torch.no_grad()
    def target(self, audio: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch dim"]:
        """Unit vectors of candidates, likewise."""
        return self.network.target((audio - self.mean) / self.deviation)


def system_name(task: str, named: NamedEncoder, settings: Mapping[str, Any]) -> str:
    """Name of the folder: one for each task, encoder content and setting."""
    whole = json.dumps([named.content_hash, task, settings], sort_keys=True)
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{file_name(task)}-{file_name(named.name[-60:])}-{digest}"


def save_system(system: RetrievalSystem, folder: Path) -> None:
    """Write the two files, the one with the hash of the other last."""
    weights = {f"{_NETWORK}{name}": value for name, value in system.network.state_dict().items()}
    weights |= {_MEAN: system.mean, _DEVIATION: system.deviation}
    with atomic_path(folder / _WEIGHTS) as temporary:
        # Not save_file, which gives the file to its owner alone, whatever the umask.
        content = {name: value.cpu().contiguous() for name, value in weights.items()}
        temporary.write_bytes(save(content))
    about = system.about.model_copy(update={"sha256": sha256(folder / _WEIGHTS)})
    write_text(folder / _ABOUT, sealed_json(about.model_dump()))


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
    content = (folder / _ABOUT).read_bytes()
    try:
        about = SystemAbout.model_validate_json(content)
    except ValueError as error:
        remedy = "train it again by evaluate.py retrieval"
        reason = f"is not of a retrieval system ({fault(error)}): {remedy}"
        raise BrokenFileError(folder / _ABOUT, reason) from error
    check_seal(folder / _ABOUT, content, required=about.format > 1)
    path = folder / _WEIGHTS
    if path.is_file() and sha256(path) != about.sha256:
        raise BrokenFileError(path, f"its content is not that of {_ABOUT}: altered or replaced")
    weights = read_tensors(path, _SOURCE, checked=True)
    network = RetrievalNetwork(
        about.audio_features, about.text_features, len(about.classes), about.dim
    )
    fill(network, select_weights(weights, _NETWORK), path)
    statistics = [weights[name].float() for name in (_MEAN, _DEVIATION) if name in weights]
    if [tuple(one.shape) for one in statistics] != 2 * [(about.audio_features,)]:
        raise BrokenFileError(path, "lacks the statistics of audio embeddings")
    mean, deviation = statistics
    return RetrievalSystem(network.eval().requires_grad_(False), mean, deviation, about)
