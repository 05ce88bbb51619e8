"""Weights as published: plain tensors under the names of the released BYOL-A files.

Which network they belong to is told from the tensors, never from a file name: the released
"AudioNTT2022-BYOLA-64x96d2048.pth" is a 3072-dimensional model.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from byola_diff.models.cnn import AudioNTT, AudioNTT2020, AudioNTT2022
from byola_diff.storage import BrokenFileError, hash_file, load_checked, load_tensors


def read_weights(path: Path) -> dict[str, Tensor]:
    """Weights of one network from a `.pth` file, by their released names.

    A wrapping "state_dict" or "model" key and a prefix before the names are taken off. The hash is
    verified if one lies beside the file.

    Raises:
        FileNotFoundError: If there is no such file.
        BrokenFileError: If it holds anything but tensors and plain values, does not match its hash,
            or holds no network, or several.
    """
    content = load_checked(path) if hash_file(path).is_file() else load_tensors(path)
    for wrapping in ("state_dict", "model"):
        if isinstance(content.get(wrapping), dict):
            content = content[wrapping]
    first = "features.0.weight"
    prefixes = [name.removesuffix(first) for name in content if f".{name}".endswith(f".{first}")]
    if not prefixes:
        raise BrokenFileError(path, f"holds no {first!r}, so no AudioNTT network")
    if len(prefixes) > 1:
        raise BrokenFileError(
            path,
            f"holds several networks ({', '.join(map(repr, prefixes))}); if it is a training "
            "checkpoint, export it first: python -m byola_diff.export CHECKPOINT OUT",
        )
    return select_weights(content, prefixes[0])


def select_weights(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Entries whose name starts with `prefix`, without it."""
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }


def build_network(weights: Mapping[str, Any], path: Path) -> AudioNTT:
    """Network of the architecture and size that `weights` have, holding them.

    Args:
        weights: Tensors by their released names.
        path: Where they come from, for the error.

    Raises:
        BrokenFileError: If they are not the weights of an AudioNTT network: says which names are
            missing, unexpected, or of another shape. Also if some are not finite.
    """
    for name, value in weights.items():
        if not isinstance(value, Tensor):
            raise BrokenFileError(path, f"{name} is a {type(value).__name__}, not a tensor")
        if not value.isfinite().all():
            raise BrokenFileError(path, f"{name} holds NaN or infinite values: training diverged")
    with torch.device("meta"):
        network = _empty_network(weights, path)
    own = network.state_dict()
    # The batch counters play no part in inference and are absent from some files.
    missing = [n for n in own if n not in weights and not n.endswith("num_batches_tracked")]
    unexpected = [name for name in weights if name not in own]
    reshaped = [
        f"{name} {list(weights[name].shape)} instead of {list(own[name].shape)}"
        for name in own
        if name in weights and weights[name].shape != own[name].shape
    ]
    if missing or unexpected or reshaped:
        raise BrokenFileError(
            path,
            f"not the weights of an {type(network).__name__}: missing {missing}, "
            f"unexpected {unexpected}, wrong shape {reshaped}",
        )
    network = network.to_empty(device="cpu")
    for name, tensor in network.state_dict().items():
        tensor.copy_(weights[name]) if name in weights else tensor.zero_()
    return network


def _empty_network(weights: Mapping[str, Tensor], path: Path) -> AudioNTT:
    shapes = {
        name: tuple(weights[name].shape)
        for name in ("fc.0.weight", "fc.3.weight")
        if name in weights
    }
    if len(shapes) < 2 or any(len(shape) != 2 for shape in shapes.values()):
        raise BrokenFileError(
            path, f"not an AudioNTT: fc.0.weight and fc.3.weight are {shapes}, not two matrices"
        )
    conv_dim, dim_out = shapes["fc.0.weight"][1], shapes["fc.3.weight"][0]
    has_third_block = "features.8.weight" in weights
    channels = 64
    try:
        if has_third_block:
            return AudioNTT2020(n_mels=conv_dim // channels * 8, dim=dim_out)
        return AudioNTT2022(n_mels=conv_dim // channels * 4, dim=conv_dim + dim_out)
    except ValueError as error:
        raise BrokenFileError(path, str(error)) from error
