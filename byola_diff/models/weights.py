"""Weights files: read by safe loaders alone, and put into a network strictly.

Without a file, weights are drawn by a seed: baselines for what training adds.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from byola_diff.models.cnn import AudioNTT, AudioNTT2020, AudioNTT2022
from byola_diff.randomness import derive_seed
from byola_diff.storage import BrokenFileError, check_hash, hash_file, load_tensors

Network = TypeVar("Network")

_SHOWN = 5
"""Names an error lists of each kind: a file of another architecture differs in hundreds."""

_REBUILD_ARRAY = np.zeros(0).__reduce__()[0]
_ARRAYS: list[Any] = [
    np.ndarray,
    np.dtype,
    *(type(np.dtype(kind)) for kind in (np.bool_, np.int32, np.int64, np.float32, np.float64)),
    *((_REBUILD_ARRAY, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
]
"""What pickled arrays of numbers are made of. They hold no code, and the PANNs files have some: the
state of their sampler."""


@dataclass(frozen=True)
class WeightsSource:
    """Where the weights of a model are published."""

    model: str
    """As papers write it."""
    file: str
    """Name of the published file."""
    source: str
    """URL, or a description that finds it."""


BYOLA = WeightsSource(
    "BYOL-A",
    "AudioNTT2020-BYOLA-64x96d2048.pth or another one",
    "pretrained_weights/ and v2/ of https://github.com/nttcslab/byol-a",
)


def read_tensors(path: Path, source: WeightsSource, checked: bool = False) -> dict[str, Tensor]:
    """Named tensors of a `.safetensors` or torch file; a "state_dict" or "model" is unwrapped.

    The hash is verified if one lies beside the file, as beside our own. Released files come without
    one, which is said on the standard error, unless the file was `checked` already.

    Raises:
        FileNotFoundError: If there is no such file; says where to get it.
        BrokenFileError: If it could run code, is broken or altered, or holds other things than
            named tensors.
    """
    content = _content(path, source, checked)
    others = [
        f"{name} ({type(value).__name__})"
        for name, value in content.items()
        if not isinstance(value, Tensor)
    ]
    if others or not content:
        raise BrokenFileError(path, f"not a file of named tensors: {listed(others) or 'empty'}")
    return content


def read_byola(path: Path) -> AudioNTT:
    """The BYOL-A network (v1, v2 or our own) whose weights a file holds, under any prefix.

    Errors are those of `read_tensors`; a BrokenFileError too if it holds none, or several.
    """
    content = _content(path, BYOLA)
    first = "features.0.weight"
    prefixes = [name.removesuffix(first) for name in content if f".{name}".endswith(f".{first}")]
    if not prefixes:
        raise BrokenFileError(path, f"holds no {first!r}, so no AudioNTT network")
    if len(prefixes) > 1:
        raise BrokenFileError(
            path,
            f"holds several networks ({', '.join(map(repr, prefixes))}); if it is a training "
            "checkpoint, export it first: byola-diff export CHECKPOINT OUT",
        )
    return build_network(select_weights(content, prefixes[0]), path)


def select_weights(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Entries whose name starts with `prefix`, without it."""
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }


def build_network(weights: Mapping[str, Any], path: Path) -> AudioNTT:
    """Network of the architecture and size that `weights` have, holding a copy of them.

    Tensors by their released names show which network they belong to, as no file name does: the
    released "AudioNTT2022-BYOLA-64x96d2048.pth" is a 3072-dimensional model.

    Raises:
        BrokenFileError: If they are not the weights of an AudioNTT network: says which names are
            missing, unexpected, or of another shape. Also if some are not finite.
    """
    for name, value in weights.items():
        if not isinstance(value, Tensor):
            raise BrokenFileError(path, f"{name} is a {type(value).__name__}, not a tensor")
    with torch.device("meta"):
        network = _empty_network(weights, path)
    fill(network, weights, path)
    return network


def fill(
    network: nn.Module, weights: Mapping[str, Tensor], path: Path, ignored: tuple[str, ...] = ()
) -> None:
    """Copy weights into a network, which may be on the meta device and is on the CPU afterwards.

    It receives all its parameters and persistent buffers; counters of batch normalisation, which
    inference does not read, may be absent. Names that start as in `ignored` are of no use to it.

    Raises:
        BrokenFileError: Of `path`, if names are missing or unexpected, shapes differ, or values are
            not finite.
    """
    used = {name: value for name, value in weights.items() if not name.startswith(ignored)}
    own = network.state_dict()
    problems = {
        "missing": [n for n in own if n not in used and not n.endswith("num_batches_tracked")],
        "unexpected": [name for name in used if name not in own],
        "of wrong shape": [
            f"{name} {list(used[name].shape)} instead of {list(own[name].shape)}"
            for name in own
            if name in used and used[name].shape != own[name].shape
        ],
    }
    if any(problems.values()):
        text = "; ".join(f"{kind}: {listed(names)}" for kind, names in problems.items() if names)
        name = type(network).__name__
        raise BrokenFileError(path, f"not of {name} (a file of another architecture?): {text}")
    broken = [name for name, value in used.items() if not value.isfinite().all()]
    if broken:
        raise BrokenFileError(path, f"NaN or infinite values in {listed(broken)}")
    complete = {
        name: used.get(name, torch.zeros(tensor.shape)).to("cpu", tensor.dtype, copy=True)
        for name, tensor in own.items()
    }
    network.load_state_dict(complete, assign=True)


def seeded_network(build: Callable[[], Network], seed: int) -> Network:
    """What `build` returns, with weights drawn by `seed`."""
    # Modules draw their weights from the global generator: seeded here, and left as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        return build()


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Content of a `.safetensors` file; a BrokenFileError if it is none."""
    try:
        return load_file(path)
    except SafetensorError as error:
        raise BrokenFileError(path, f"not a safetensors file ({error})") from error


def _content(path: Path, source: WeightsSource, checked: bool = False) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(
            f"no weights of {source.model} at {path}: download {source.file} from {source.source} "
            "and give its path"
        )
    if hash_file(path).is_file():
        check_hash(path)
    elif not checked:
        print(f"{path} comes without {hash_file(path).name}: not checked", file=sys.stderr)
    if path.suffix == ".safetensors":
        content: dict[str, Any] = dict(read_safetensors(path))
    else:
        with torch.serialization.safe_globals(_ARRAYS):
            content = load_tensors(path)
    for wrapping in ("state_dict", "model"):
        if isinstance(content.get(wrapping), dict):
            content = content[wrapping]
    return content


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
    try:
        if "features.8.weight" in weights:  # a third block; each has 64 channels
            return AudioNTT2020(n_mels=conv_dim // 64 * 8, dim=dim_out)
        return AudioNTT2022(n_mels=conv_dim // 64 * 4, dim=conv_dim + dim_out)
    except ValueError as error:
        raise BrokenFileError(path, str(error)) from error


def listed(names: Sequence[str]) -> str:
    """The first few of many names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
