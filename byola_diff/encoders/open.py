"""Encoders by the words that users name them by: `KIND`, `KIND:WHAT`, a bundle folder, a YAML file.

`registry.py` has the kinds. What a word means does not depend on the folder that one works in: the
name of a kind is that kind, and a bundle folder of that name is written `./crepe`. Layers stand in
brackets, at the end of the kind or of the whole word. Only a path that exists as it is written
keeps its brackets.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from byola_diff.encoders.config import (
    SUFFIXES,
    EncoderConfig,
    EnsembleConfig,
    MemberConfig,
    read_encoder_config,
)
from byola_diff.encoders.content_hash import content_hash
from byola_diff.encoders.contract import Encoder, Pooling
from byola_diff.encoders.ensemble import EnsembleEncoder, Member
from byola_diff.encoders.fusion import FusedEncoder
from byola_diff.encoders.manifest_statistics import Corpus
from byola_diff.encoders.registry import check_kind, open_kind
from byola_diff.tables.manifest import Manifest
from byola_diff.tables.preprocessing import Preprocessing

_LAYERS = re.compile(r"\[([^][:]*)\](?=:|$)")


@dataclass(frozen=True)
class NamedEncoder:
    """An encoder as it appears in tables and records."""

    name: str
    encoder: Encoder
    content_hash: str
    """Of weights, statistics, front end and settings: two encoders of one hash give one score."""


def open_encoder(
    word: str, manifest: Manifest | None = None, preprocessing: Preprocessing | None = None
) -> NamedEncoder:
    """The encoder that `word` names.

    Args:
        word: A bundle folder; a kind, with what the kind asks for after a colon; or a YAML file of
            an encoder or an ensemble. Layers in brackets are fused, as in `vggish[10,15]:FILE`.
        manifest: For the statistics of encoders that come without: of its training split, or of
            the training part of its first fold. Labels are not used. Untrained networks fall back
            on those of procedural sounds.
        preprocessing: How clips are cut before they are embedded, and for the statistics; whole
            clips if None.

    Raises:
        ValueError: If the word is malformed, or names no kind, layer or option that there is.
        FileNotFoundError: If there is no such bundle or file.
        BrokenFileError: If the weights can't be used.
        ModuleNotFoundError: If the kind needs a package that is not installed.
    """
    corpus = None if manifest is None else Corpus(manifest, preprocessing or Preprocessing())
    plain, layers = split_layers(word)
    if not plain.endswith(SUFFIXES):
        encoder = _fused(open_kind(plain, {}, corpus), layers, None)
        return NamedEncoder(word, encoder, content_hash(encoder))
    config = read_encoder_config(Path(plain).expanduser())
    if isinstance(config, EnsembleConfig):
        encoder = _fused(_ensemble(config, corpus), layers, None)
    else:
        encoder = _single(config, layers, corpus)
    name = (config.name or Path(plain).stem) + (f"[{','.join(layers)}]" if layers else "")
    return NamedEncoder(name, encoder, content_hash(encoder))


def check_word(word: str) -> None:
    """Do nothing if `open_encoder` may find an encoder of that name; nothing is loaded.

    Raises:
        ValueError: If the word or its configuration is malformed, or names no kind that there is.
        FileNotFoundError: If there is no such configuration.
    """
    plain, _ = split_layers(word)
    if not plain.endswith(SUFFIXES):
        check_kind(plain)
        return
    config = read_encoder_config(Path(plain).expanduser())
    for each in config.members if isinstance(config, EnsembleConfig) else [config]:
        check_kind(split_layers(each.word)[0])


def split_layers(word: str) -> tuple[str, tuple[str, ...]]:
    """The word without its layers, and the layers to be fused, perhaps none.

    Raises:
        ValueError: If there are brackets twice, none in them, or a layer twice.
    """
    if Path(word).expanduser().exists():
        return word, ()
    head, colon, path = word.partition(":")
    if not path or not Path(path).expanduser().exists():
        head, colon, path = word, "", ""
    found = _LAYERS.findall(head)
    if not found:
        return word, ()
    if len(found) > 1:
        raise ValueError(f"{word!r} has layers twice: give them once, as in vggish[10,15]:FILE")
    layers = tuple(layer.strip() for layer in found[0].split(","))
    if not all(layers) or len(set(layers)) < len(layers):
        raise ValueError(f"{word!r}: expected different layers, as in [10,15], not [{found[0]}]")
    return f"{_LAYERS.sub('', head)}{colon}{path}", layers


def _single(config: EncoderConfig, layers: tuple[str, ...], corpus: Corpus | None) -> Encoder:
    word, in_word = split_layers(config.word)
    chosen = [names for names in (layers, in_word, tuple(map(str, config.layers))) if names]
    if len(chosen) > 1:
        raise ValueError(f"layers are given twice, as {' and as '.join(map(str, chosen))}")
    encoder = open_kind(word, config.options, corpus)
    return _fused(encoder, chosen[0] if chosen else (), config.pooling)


def _ensemble(config: EnsembleConfig, corpus: Corpus | None) -> EnsembleEncoder:
    members = [_member(member, corpus) for member in config.members]
    return EnsembleEncoder(
        members, config.combine, config.scene_groups, config.reference, config.width
    )


def _member(config: MemberConfig, corpus: Corpus | None) -> Member:
    word, layers = split_layers(config.word)
    encoder = _fused(open_kind(word, config.options, corpus), layers, None)
    if not config.scene_options:
        return Member(encoder, config.states)
    options = {**config.options, **config.scene_options}
    scene_encoder = _fused(open_kind(word, options, corpus), layers, None)
    return Member(encoder, config.states, scene_encoder)


def _fused(encoder: Encoder, layers: tuple[str, ...], pooling: Pooling | None) -> Encoder:
    return FusedEncoder(encoder, layers, pooling) if layers else encoder
