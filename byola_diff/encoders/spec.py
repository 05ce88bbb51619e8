"""What a user asks for: the spec of an encoder, as a short text or as a YAML file.

    vggish[10,15]:weights/pytorch_vggish.pth

    encoder: vggish                       # a kind, or a bundle folder
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
is written keeps its brackets.
"""

import re
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, Field, model_validator

from byola_diff.encoders.combine import Combine
from byola_diff.encoders.ensemble import States
from byola_diff.encoders.options import Options, check_options, unknown_name
from byola_diff.models.pooling import Pooling

SUFFIXES = (".yaml", ".yml")
_LAYERS = re.compile(r"\[([^][:]*)\](?=:|$)")


def _no_file(encoder: str) -> str:
    if encoder.endswith(SUFFIXES):
        raise ValueError(f"{encoder!r} is a file of its own: write here what it says")
    return encoder


class _OneSpec(Options):
    encoder: Annotated[str, AfterValidator(_no_file)]
    """A kind or a bundle folder; with what follows the kind, as in `untrained:cnn14`."""
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
    """In tables; that of the file if None."""


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
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ValueError(f"{path}: expected keys with values, as in 'encoder: cnn14'")
    if "ensemble" in content:
        return check_options(EnsembleFile, content, str(path))
    known = [*EncoderSpec.model_fields, "ensemble"]
    if unknown := [key for key in content if key not in known]:
        raise unknown_name(f"{path}: unknown key", unknown[0], known)
    return check_options(EncoderSpec, content, str(path))


def split_layers(encoder_spec: str) -> tuple[str, tuple[str, ...]]:
    """The spec without its layers, and the layers to be fused, perhaps none.

    Raises:
        ValueError: If there are brackets twice, none in them, or a layer twice.
    """
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
