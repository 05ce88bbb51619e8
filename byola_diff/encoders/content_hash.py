"""Digest of an encoder: what embeddings are cached and scores are recorded under."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from byola_diff.encoders.contract import Encoder
from byola_diff.encoders.source_code import code_digest, is_ours


def content_hash(encoder: Encoder) -> str:
    """SHA-256 of all that an embedding depends on, the same on every device.

    That is the kind of each of its modules, the `settings()` of those that have them, every weight
    and buffer, and the code of those modules that are ours, wherever in the package it lies (see
    `source_code.py`); of an encoder of someone else, the file that defines it. Encoders inside an
    ensemble or a fusion are modules of it, so they count.

    Raises:
        TypeError: If it is no module: its weights would not be seen.
    """
    if not isinstance(encoder, nn.Module):
        raise TypeError(
            f"{type(encoder).__name__} must be an nn.Module that holds its networks as submodules, "
            "or encoders of other weights would share cached embeddings"
        )
    digest, ours = hashlib.sha256(), set()
    for name, module in encoder.named_modules():
        described = [name, _kind(type(module)), _settings(module)]
        digest.update(json.dumps(described, sort_keys=True).encode())
        ours |= {base for base in type(module).__mro__ if is_ours(base)}
        if isinstance(module, Encoder) and not is_ours(type(module)):
            digest.update(_file_of(type(module)))
    digest.update(code_digest(ours).encode())
    for name, value in sorted(encoder.state_dict().items()):
        digest.update(_described(name, value))
    return digest.hexdigest()


def _kind(module: type[nn.Module]) -> str:
    """Name of a class: of ours without the place where it lies, which may change."""
    name = module.__qualname__
    return name if is_ours(module) else f"{module.__module__}.{name}"


def _file_of(kind: type) -> bytes:
    """Content of the file that defines a class; nothing of one that was typed in."""
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return Path(file).read_bytes() if file else b""


def _settings(module: nn.Module) -> Any:
    settings = getattr(module, "settings", None)
    return settings() if callable(settings) else None


def _described(name: str, value: Any) -> bytes:
    if not isinstance(value, Tensor):  # what a module of someone else keeps as extra state
        return f"{name}{value!r}".encode()
    # As bytes by way of torch, as numpy has no bfloat16.
    content = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return f"{name}{value.dtype}{tuple(value.shape)}".encode() + content.tobytes()
