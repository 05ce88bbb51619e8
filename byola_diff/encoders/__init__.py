"""Frozen encoders of sound: opened by a spec, combined, and distinguished by a content hash."""

from byola_diff.encoders.contract import Encoder
from byola_diff.encoders.ensemble import EnsembleEncoder, Member
from byola_diff.encoders.fusion import FusedEncoder, layer_scenes
from byola_diff.encoders.open import NamedEncoder, check_spec, open_encoder
from byola_diff.encoders.registry import KINDS
from byola_diff.encoders.spec import split_layers

__all__ = [
    "KINDS",
    "Encoder",
    "EnsembleEncoder",
    "FusedEncoder",
    "Member",
    "NamedEncoder",
    "check_spec",
    "layer_scenes",
    "open_encoder",
    "split_layers",
]
