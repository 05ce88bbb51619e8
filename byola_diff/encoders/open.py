"""Encoders by what users write: a short text, or a YAML file.

    vggish[10,15]:weights/pytorch_vggish.pth

    encoder: vggish                       # a kind (see `registry.py`), or a bundle
    weights: weights/pytorch_vggish.pth   # relative to the working directory
    layers: [10, 15]
    options: {}                           # keyword options of the loader

    ensemble:
      combine: interleave
      members:
        - {encoder: hubert, weights: weights/hubert-xlarge-ll60k, states: mean}
        - {encoder: crepe, options: {hop_samples: 800}, scene_options: {hop_samples: 4000}}

To use other weights, edit the file or a copy: nothing in it is replaced or expanded. In a short
text layers stand in brackets, at the end of the kind or of the whole. Only a path that exists as it
is written keeps its brackets. What a text means does not depend on the folder that one works in:
the name of a kind is that kind, and a bundle folder of that name is written `./crepe`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import yaml
from pydantic import AfterValidator, Field, model_validator
from torch import nn

from byola_diff.encoders.content_hash import content_hash
from byola_diff.encoders.contract import Encoder
from byola_diff.encoders.ensemble import Combine, EnsembleEncoder, Member, States
from byola_diff.encoders.fusion import FusedEncoder
from byola_diff.encoders.manifest_statistics import Corpus, Moments
from byola_diff.encoders.options import Options, check_options, unknown_name
from byola_diff.encoders.registry import CODE_KINDS, check_kind, open_kind
from byola_diff.models.hub import HUB
from byola_diff.models.pooling import Pooling
from byola_diff.tables.manifest import Manifest
from byola_diff.tables.preprocessing import Preprocessing

_SUFFIXES = (".yaml", ".yml")
_LAYERS = re.compile(r"\[([^][:]*)\](?=:|$)")


@dataclass(frozen=True)
class NamedEncoder:
    """An encoder as it appears in tables and records."""

    name: str
    encoder: Encoder
    content_hash: str
    """Digest of weights, statistics, front end and settings: encoders of one hash score alike."""
    of_task: bool = False
    """Whether its statistics may be those of the manifest that it was opened with."""
    statistics: tuple[Moments, ...] | None = None
    """All that it took of that manifest, of which `open_encoder` makes the same encoder again; None
    if what it took is not known, as a function of a user may have."""


def open_encoder(
    encoder_spec: str,
    manifest: Manifest | None = None,
    preprocessing: Preprocessing | None = None,
    device: torch.device | str | None = None,
    statistics: Sequence[Moments] | None = None,
) -> NamedEncoder:
    """The encoder that a user asks for, on the device, or where it was made if None.

    The spec is a bundle, a folder or one of the Hugging Face hub; a kind, with what the kind asks
    for after a colon; or a YAML file. Layers in brackets are fused.

    The manifest is for the statistics of encoders that come without: of its training split, or of
    the training part of its first fold, cut as for embeddings (whole clips if `preprocessing` is
    None). Labels are not used. Untrained networks fall back on those of procedural sounds. In place
    of a manifest there may be the statistics of a `NamedEncoder` of the same spec.

    Raises:
        ValueError: If the spec is malformed, or names no kind, layer or option that there is.
        FileNotFoundError: If there is no such bundle or file.
        PermissionError, ConnectionError: If a bundle can't be fetched from the hub.
        BrokenFileError: If the weights can't be used.
        ModuleNotFoundError: If the kind needs a package that is not installed.
    """
    if statistics is not None:
        manifest = Manifest(Path(), (), ())
    cut = preprocessing or Preprocessing()
    corpus = None if manifest is None else Corpus(manifest, cut, known=statistics)
    spec, layers = _read(encoder_spec)
    if isinstance(spec, EncoderSpec):
        encoder = _opened(spec, spec.options, corpus, [layers, spec.layers], spec.pooling)
    else:
        members = [_member(member, corpus) for member in spec.ensemble.members]
        encoder = EnsembleEncoder(members, **spec.ensemble.model_dump(exclude={"members"}))
        encoder = FusedEncoder(encoder, layers) if layers else encoder
    of_task = corpus is not None and corpus.asked_for
    taken = tuple(corpus.taken) if corpus else ()
    taken = None if of_task and not taken else taken
    named = NamedEncoder(spec.name or encoder_spec, encoder, content_hash(encoder), of_task, taken)
    if device is not None and isinstance(encoder, nn.Module):
        encoder.to(device)
    return named


def check_spec(encoder_spec: str) -> None:
    """Raise what `open_encoder` would of the spec, its file or its kind; nothing is loaded."""
    for short in _shorts(encoder_spec):
        check_kind(short)


def names_code(encoder_spec: str) -> bool:
    """Whether the spec, or its file, names a module to be imported; errors are of `check_spec`."""
    return any(short.partition(":")[0] in CODE_KINDS for short in _shorts(encoder_spec))


def names_hub(encoder_spec: str) -> bool:
    """Whether the spec, or its file, names a bundle of the hub; errors are of `check_spec`."""
    return any(short.removeprefix("untrained:").startswith(HUB) for short in _shorts(encoder_spec))


def split_layers(encoder_spec: str) -> tuple[str, tuple[str, ...]]:
    """The spec without its layers, and those to be fused, if any; a ValueError if malformed."""
    if Path(encoder_spec).expanduser().exists():
        return encoder_spec, ()
    head, colon, path = encoder_spec.partition(":")
    if not path or not Path(path).expanduser().exists():
        head, colon, path = encoder_spec, "", ""
    found = _LAYERS.findall(head)
    if not found:
        return encoder_spec, ()
    if len(found) > 1:
        raise ValueError(
            f"{encoder_spec!r} has layers twice: give them once, as in vggish[10,15]:FILE"
        )
    layers = tuple(layer.strip() for layer in found[0].split(","))
    if not all(layers) or len(set(layers)) < len(layers):
        raise ValueError(
            f"{encoder_spec!r}: expected different layers, as in [10,15], not [{found[0]}]"
        )
    return f"{_LAYERS.sub('', head)}{colon}{path}", layers


def _shorts(encoder_spec: str) -> list[str]:
    """The spec, or each of its file, as a short text without layers."""
    spec, _ = _read(encoder_spec)
    every = [spec] if isinstance(spec, EncoderSpec) else spec.ensemble.members
    return [split_layers(each.short)[0] for each in every]


def _no_file(encoder: str) -> str:
    if encoder.endswith(_SUFFIXES):
        raise ValueError(f"{encoder!r} is a file of its own: write here what it says")
    return encoder


class _OneSpec(Options):
    encoder: Annotated[str, AfterValidator(_no_file)]
    """A kind or a bundle; with what follows the kind, as in `untrained:cnn14`."""
    weights: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @property
    def short(self) -> str:
        """Kind, what follows it, and weights as a short text."""
        return self.encoder if self.weights is None else f"{self.encoder}:{self.weights}"


class MemberSpec(_OneSpec):
    """One encoder of an ensemble."""

    states: States = "last"
    """Its timestamp embeddings, or the mean over all its layers."""
    scene_options: dict[str, Any] = Field(default_factory=dict)
    """Where they differ from `options` for scene embeddings."""


class EncoderSpec(_OneSpec):
    """One encoder, or one vector from several of its layers."""

    layers: tuple[int | str, ...] = ()
    """To be fused, by name or by the number that the paper gives them."""
    pooling: Pooling | None = None
    """How fused layers become the scene embedding; as in the paper if None."""
    name: str | None = None
    """In tables; that of the file if None."""

    @model_validator(mode="after")
    def _pools_layers(self) -> "EncoderSpec":
        if self.pooling and not self.layers:
            raise ValueError("pooling is of fused layers: give layers too")
        return self


class EnsembleSpec(Options):
    """Several encoders as one; see `EnsembleEncoder`."""

    members: Annotated[tuple[MemberSpec, ...], Field(min_length=1)]
    combine: Combine
    scene_groups: int = 1
    reference: int = 0
    width: int | None = None


class EnsembleFile(Options):
    """A file of an ensemble."""

    ensemble: EnsembleSpec
    name: str | None = None


def read_spec(path: Path) -> EncoderSpec | EnsembleFile:
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
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ValueError(f"{path}: expected keys with values, as in 'encoder: cnn14'")
    if "ensemble" in content:
        return check_options(EnsembleFile, content, str(path))
    known = [*EncoderSpec.model_fields, "ensemble"]
    if unknown := [key for key in content if key not in known]:
        raise unknown_name(f"{path}: unknown key", unknown[0], known)
    return check_options(EncoderSpec, content, str(path))


def spec_name(encoder_spec: str) -> str:
    """What records call the encoder of a spec; the spec itself if it can't be read."""
    try:
        return _read(encoder_spec)[0].name or encoder_spec
    except (OSError, ValueError):
        return encoder_spec


def _read(encoder_spec: str) -> tuple[EncoderSpec | EnsembleFile, tuple[str, ...]]:
    """The spec in full, and the layers in brackets behind it; a file gets the name it has."""
    plain, layers = split_layers(encoder_spec)
    if not plain.endswith(_SUFFIXES):
        return EncoderSpec(encoder=plain), layers
    spec = read_spec(Path(plain).expanduser())
    name = (spec.name or Path(plain).stem) + (f"[{','.join(layers)}]" if layers else "")
    return spec.model_copy(update={"name": name}), layers


def _opened(
    spec: _OneSpec,
    options: dict[str, Any],
    corpus: Corpus | None,
    layers: Sequence[tuple[int | str, ...]] = (),
    pooling: Pooling | None = None,
) -> Encoder:
    """The encoder of a spec, with its layers fused if some are given: in one place only."""
    short, in_short = split_layers(spec.short)
    chosen = [tuple(map(str, names)) for names in (in_short, *layers) if names]
    if len(chosen) > 1:
        raise ValueError(f"layers are given twice, as {' and as '.join(map(str, chosen))}")
    encoder = open_kind(short, options, corpus)
    return FusedEncoder(encoder, chosen[0], pooling) if chosen else encoder


def _member(spec: MemberSpec, corpus: Corpus | None) -> Member:
    scene_options = spec.options | spec.scene_options
    scene_encoder = _opened(spec, scene_options, corpus) if spec.scene_options else None
    return Member(_opened(spec, spec.options, corpus), spec.states, scene_encoder)
