"""Encoders by what users write: `KIND`, `KIND:WHAT`, a bundle folder, or a YAML file.

`registry.py` has the kinds, `spec.py` the form of what users write. What it means does not depend
on the folder that one works in: the name of a kind is that kind, and a bundle folder of that name
is written `./crepe`.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from byola_diff.encoders.content_hash import content_hash
from byola_diff.encoders.contract import Encoder
from byola_diff.encoders.ensemble import EnsembleEncoder, Member
from byola_diff.encoders.fusion import FusedEncoder
from byola_diff.encoders.manifest_statistics import Corpus
from byola_diff.encoders.registry import check_kind, open_kind
from byola_diff.encoders.spec import (
    SUFFIXES,
    EncoderSpec,
    EnsembleFile,
    EnsembleSpec,
    MemberSpec,
    read_spec,
    split_layers,
)
from byola_diff.models.pooling import Pooling
from byola_diff.tables.manifest import Manifest
from byola_diff.tables.preprocessing import Preprocessing


@dataclass(frozen=True)
class NamedEncoder:
    """An encoder as it appears in tables and records."""

    name: str
    encoder: Encoder
    content_hash: str
    """Digest of weights, statistics, front end and settings: encoders of one hash score alike."""
    of_task: bool = False
    """Whether its statistics may be those of the manifest that it was opened with."""


def open_encoder(
    encoder_spec: str,
    manifest: Manifest | None = None,
    preprocessing: Preprocessing | None = None,
    device: torch.device | str | None = None,
) -> NamedEncoder:
    """The encoder that a user asks for.

    Args:
        encoder_spec: A bundle folder; a kind, with what the kind asks for after a colon; or a YAML
            file of an encoder or an ensemble. Layers in brackets are fused, as in
            `vggish[10,15]:FILE`.
        manifest: For the statistics of encoders that come without: of its training split, or of
            the training part of its first fold. Labels are not used. Untrained networks fall back
            on those of procedural sounds.
        preprocessing: How clips are cut before they are embedded, and for the statistics; whole
            clips if None.
        device: Where it goes; it stays where it was made if None.

    Raises:
        ValueError: If the spec is malformed, or names no kind, layer or option that there is.
        FileNotFoundError: If there is no such bundle or file.
        BrokenFileError: If the weights can't be used.
        ModuleNotFoundError: If the kind needs a package that is not installed.
    """
    corpus = None if manifest is None else Corpus(manifest, preprocessing or Preprocessing())
    spec, layers = _read(encoder_spec)
    if isinstance(spec, EnsembleFile):
        encoder = _fused(_ensemble(spec.ensemble, corpus), layers, None)
    else:
        encoder = _single(spec, layers, corpus)
    of_task = corpus is not None and corpus.asked_for
    named = NamedEncoder(spec.name or encoder_spec, encoder, content_hash(encoder), of_task)
    if device is not None and isinstance(encoder, nn.Module):
        encoder.to(device)
    return named


def check_spec(encoder_spec: str) -> None:
    """Do nothing if `open_encoder` may find such an encoder; nothing is loaded.

    Raises:
        ValueError: If the spec or its file is malformed, or names no kind that there is.
        FileNotFoundError: If there is no such file.
    """
    spec, _ = _read(encoder_spec)
    for each in spec.ensemble.members if isinstance(spec, EnsembleFile) else [spec]:
        check_kind(split_layers(each.short)[0])


def _read(encoder_spec: str) -> tuple[EncoderSpec | EnsembleFile, tuple[str, ...]]:
    """The spec in full, and the layers in brackets behind it; a file gets the name it has."""
    plain, layers = split_layers(encoder_spec)
    if not plain.endswith(SUFFIXES):
        return EncoderSpec(encoder=plain), layers
    spec = read_spec(Path(plain).expanduser())
    name = (spec.name or Path(plain).stem) + (f"[{','.join(layers)}]" if layers else "")
    return spec.model_copy(update={"name": name}), layers


def _single(spec: EncoderSpec, layers: tuple[str, ...], corpus: Corpus | None) -> Encoder:
    short, in_short = split_layers(spec.short)
    chosen = [names for names in (layers, in_short, tuple(map(str, spec.layers))) if names]
    if len(chosen) > 1:
        raise ValueError(f"layers are given twice, as {' and as '.join(map(str, chosen))}")
    encoder = open_kind(short, spec.options, corpus)
    return _fused(encoder, chosen[0] if chosen else (), spec.pooling)


def _ensemble(spec: EnsembleSpec, corpus: Corpus | None) -> EnsembleEncoder:
    members = [_member(member, corpus) for member in spec.members]
    return EnsembleEncoder(members, spec.combine, spec.scene_groups, spec.reference, spec.width)


def _member(spec: MemberSpec, corpus: Corpus | None) -> Member:
    short, layers = split_layers(spec.short)
    encoder = _fused(open_kind(short, spec.options, corpus), layers, None)
    if not spec.scene_options:
        return Member(encoder, spec.states)
    options = {**spec.options, **spec.scene_options}
    return Member(encoder, spec.states, _fused(open_kind(short, options, corpus), layers, None))


def _fused(encoder: Encoder, layers: tuple[str, ...], pooling: Pooling | None) -> Encoder:
    return FusedEncoder(encoder, layers, pooling) if layers else encoder
