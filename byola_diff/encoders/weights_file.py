"""Weights files of published models: read by safe loaders alone, put into a network strictly.

Without a file, weights are drawn by a seed: baselines for what training adds.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from byola_diff.randomness import derive_seed
from byola_diff.storage import BrokenFileError, load_tensors

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
    """URL, or words that find it."""


def read_tensors(path: Path, source: WeightsSource) -> dict[str, Tensor]:
    """Named tensors of a `.safetensors` or torch file; a "state_dict" or "model" is unwrapped.

    Raises:
        FileNotFoundError: If there is no such file; says where to get it.
        BrokenFileError: If it could run code, is broken, or holds other things than named tensors.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"no weights of {source.model} at {path}: download {source.file} from {source.source} "
            "and give its path"
        )
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    for wrapping in ("state_dict", "model"):
        if isinstance(content.get(wrapping), dict):
            content = content[wrapping]
    others = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if others or not content:
        raise BrokenFileError(path, f"not a file of named tensors: {_list(others) or 'empty'}")
    return content


def fill(
    network: nn.Module, weights: Mapping[str, Tensor], path: Path, ignored: Collection[str] = ()
) -> None:
    """Put weights into a network, which may be on the meta device and is on the CPU afterwards.

    Args:
        network: Receives all its parameters and persistent buffers; counters of batch
            normalisation, which inference does not read, may be absent.
        weights: Tensors by the names of `network`.
        path: Where they come from, for the errors.
        ignored: Names the network has no use for. One that ends in "." stands for all below it.

    Raises:
        BrokenFileError: If names are missing or unexpected, shapes differ, or values are not
            finite.
    """
    used = {name: value for name, value in weights.items() if not _is_among(name, ignored)}
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
        text = "; ".join(f"{kind}: {_list(names)}" for kind, names in problems.items() if names)
        name = type(network).__name__
        raise BrokenFileError(path, f"not of {name} (a file of another architecture?): {text}")
    broken = [name for name, value in used.items() if not value.isfinite().all()]
    if broken:
        raise BrokenFileError(path, f"NaN or infinite values in {_list(broken)}")
    complete = {
        name: used.get(name, torch.zeros(tensor.shape)).to(tensor.dtype)
        for name, tensor in own.items()
    }
    network.load_state_dict(complete, assign=True)


def _read_torch(path: Path) -> dict[str, Any]:
    with torch.serialization.safe_globals(_ARRAYS):
        return load_tensors(path)


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise BrokenFileError(path, f"not a safetensors file ({error})") from error


def _is_among(name: str, ignored: Collection[str]) -> bool:
    return any(name.startswith(word) if word.endswith(".") else name == word for word in ignored)


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def seeded_network(build: Callable[[], Network], seed: int) -> Network:
    """What `build` returns, with weights drawn by `seed`."""
    # Modules draw their weights from the global generator: seeded here, and left as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        return build()
