"""What linear evaluation measures of an encoder: itself, its layers, or what it is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from byola_diff.encoders.content_hash import content_hash
from byola_diff.encoders.ensemble import EnsembleEncoder
from byola_diff.encoders.fusion import FusedEncoder
from byola_diff.encoders.open import NamedEncoder, split_layers


@dataclass(frozen=True)
class Step:
    """One readout of one encoder, to be embedded and probed."""

    named: NamedEncoder
    readout: Literal["scene", "layers"] = "scene"
    """One probe for the clip's embedding, or for each layer."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """For the record: `base` and `fusion`, as of `score_record`."""

    @property
    def n_embeddings(self) -> int:
        """Embeddings per clip."""
        return len(self.named.encoder.layer_strides) if self.readout == "layers" else 1


StepsOf = Callable[[NamedEncoder], list[Step]]


def scene_steps(named: NamedEncoder) -> list[Step]:
    """The scene embedding."""
    return [Step(named)]


def layer_steps(named: NamedEncoder) -> list[Step]:
    """Every layer."""
    return [Step(named, "layers", {"base": named.name})]


def fusion_steps(named: NamedEncoder) -> list[Step]:
    """Fused layers, after the scene embedding and every layer of the same encoder.

    Raises:
        ValueError: If `named` fuses nothing.
    """
    fused = named.encoder
    if not isinstance(fused, FusedEncoder):
        names = ", ".join(fused.layer_strides)
        raise ValueError(f"{named.name} fuses nothing: add some of its layers in [], of {names}")
    plain, layers = split_layers(named.name)
    name = plain if layers else f"{plain}, not fused"
    base = NamedEncoder(name, fused.encoder, content_hash(fused.encoder))
    about = {"fusion": (base.name, fused.names)}
    return [*scene_steps(base), *layer_steps(base), Step(named, "scene", about)]


def ensemble_steps(named: NamedEncoder) -> list[Step]:
    """An ensemble, after each of its members alone, with the member's choice of layers.

    Raises:
        ValueError: If `named` is no ensemble.
    """
    if not isinstance(named.encoder, EnsembleEncoder):
        raise ValueError(f"{named.name} is no ensemble: give a YAML file with the key 'ensemble'")
    steps = []
    for number, member in enumerate(named.encoder.members, start=1):
        alone = EnsembleEncoder([member], "concat")
        name = f"{named.name}, member {number}: {type(member.encoder).__name__}"
        one = NamedEncoder(name, alone, content_hash(alone))
        steps.append(Step(one, "scene", {"base": named.name}))
    return [*steps, Step(named)]
