"""An encoder, or an ensemble of them, as a YAML file.

    encoder: vggish                       # a kind, as in words, or a bundle folder
    weights: weights/pytorch_vggish.pth   # relative to the working directory
    layers: [10, 15]
    options: {}                           # keyword options of the loader

    ensemble:
      combine: interleave
      members:
        - {encoder: hubert, weights: weights/hubert-xlarge-ll60k, states: mean}
        - {encoder: crepe, options: {hop_samples: 800}, scene_options: {hop_samples: 4000}}

To use other weights, edit the file or a copy: nothing in it is replaced or expanded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import yaml

from byola_diff.encoders.checked_call import check_keys, checked_call
from byola_diff.encoders.contract import Pooling

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """One encoder, or one vector from several of its layers."""

    encoder: str
    """A kind or a bundle folder; with what a word has after the kind, as in `untrained:cnn14`."""
    weights: str | None = None
    layers: tuple[int | str, ...] = ()
    """To be fused, by name or by the number that the paper gives them."""
    pooling: Pooling | None = None
    """Of fused layers; as in the paper if None."""
    options: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    """In tables; that of the file if None."""

    def __post_init__(self) -> None:
        _check_word(self.encoder)
        if self.pooling and not self.layers:
            raise ValueError("pooling is of fused layers: give layers too")

    @property
    def word(self) -> str:
        """The same without layers and options, as one word."""
        return _word(self.encoder, self.weights)


@dataclass(frozen=True, kw_only=True)
class MemberConfig:
    """One encoder of an ensemble."""

    encoder: str
    weights: str | None = None
    states: Literal["last", "mean"] = "last"
    """Its timestamp embeddings, or the mean over all its layers."""
    options: Mapping[str, Any] = field(default_factory=dict)
    scene_options: Mapping[str, Any] = field(default_factory=dict)
    """Where they differ from `options` for scene embeddings."""

    def __post_init__(self) -> None:
        _check_word(self.encoder)

    @property
    def word(self) -> str:
        """Kind, what follows it, and weights as one word."""
        return _word(self.encoder, self.weights)


@dataclass(frozen=True, kw_only=True)
class EnsembleConfig:
    """Several encoders as one."""

    members: tuple[MemberConfig, ...]
    combine: Literal["concat", "interleave", "average"]
    scene_groups: int = 1
    """Equal parts in time, the means of which are the scene embedding."""
    reference: int = 0
    """Member whose frames and width the others are brought to, counted from 0."""
    width: int | None = None
    """To bring all members to instead."""
    name: str | None = None


def read_encoder_config(path: Path) -> EncoderConfig | EnsembleConfig:
    """What the YAML file at `path` says.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is not YAML, or a key is unknown, lacking or of a wrong type. The message
            names the file and the nearest key.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no configuration of an encoder at {path}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    table = _mapping(content, str(path))
    try:
        if "ensemble" not in table:
            keys = [each.name for each in fields(EncoderConfig)]
            check_keys(table, [*keys, "ensemble"], str(path))
            return checked_call(EncoderConfig, {}, table, str(path))
        return checked_call(_ensemble_file, {"path": path}, table, str(path))
    except ValueError as error:
        located = str(error).startswith(str(path))
        raise ValueError(str(error) if located else f"{path}: {error}") from None


def _ensemble_file(ensemble: dict[str, Any], path: Path, name: str | None = None) -> EnsembleConfig:
    where = f"{path}: ensemble"
    members = ensemble.get("members")
    if not isinstance(members, list) or not members:
        raise ValueError(f"{where}: members must be a list of encoders")
    configs = tuple(
        checked_call(MemberConfig, {}, _mapping(member, place), place)
        for number, member in enumerate(members, start=1)
        for place in [f"{where}: member {number}"]
    )
    others = {key: value for key, value in ensemble.items() if key != "members"}
    return checked_call(EnsembleConfig, {"members": configs, "name": name}, others, where)


def _mapping(content: Any, where: str) -> dict[str, Any]:
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ValueError(f"{where}: expected keys with values, as in 'encoder: cnn14'")
    return content


def _word(encoder: str, weights: str | None) -> str:
    return encoder if weights is None else f"{encoder}:{weights}"


def _check_word(encoder: str) -> None:
    if encoder.endswith(SUFFIXES):
        raise ValueError(f"encoder {encoder!r} is a file of its own: write here what it says")
