"""Networks, the base of frozen encoders, their files on disk, and the pair that is trained."""

from byola_diff.models.bundle import fill_bundle, load_encoder, whole_folder, write_bundle
from byola_diff.models.cnn import ENCODERS, AudioNTT, AudioNTT2020, AudioNTT2022
from byola_diff.models.encoder import AudioEncoder
from byola_diff.models.frozen import FrozenEncoder
from byola_diff.models.pair import Branch, OnlineTargetPair, update_target
from byola_diff.models.pooling import Pooling, mean_max_pool, pool
from byola_diff.models.precision import Precision, bfloat16_networks, resolved_precision
from byola_diff.models.weights import WeightsSource, fill, read_tensors

__all__ = [
    "ENCODERS",
    "AudioEncoder",
    "AudioNTT",
    "AudioNTT2020",
    "AudioNTT2022",
    "Branch",
    "FrozenEncoder",
    "OnlineTargetPair",
    "Pooling",
    "Precision",
    "WeightsSource",
    "bfloat16_networks",
    "fill",
    "fill_bundle",
    "load_encoder",
    "mean_max_pool",
    "pool",
    "read_tensors",
    "resolved_precision",
    "update_target",
    "whole_folder",
    "write_bundle",
]
