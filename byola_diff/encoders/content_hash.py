"""Digest of an encoder: what embeddings are cached and scores are recorded under."""

import hashlib
import json
from typing import Any

import torch
from torch import Tensor, nn

from byola_diff.encoders.code_digest import code_digest, is_ours
from byola_diff.encoders.code_of_user import code_digest_of_user
from byola_diff.encoders.contract import Encoder


def content_hash(encoder: Encoder) -> str:
    """SHA-256 of all that an embedding depends on, the same on every device.

    That is the kind of each of its modules, the `settings()` of those that have them, every weight
    and buffer, and the code of those modules that are ours; of an encoder of someone else, the code
    and data beside the file that defines it, and what it was `loaded_from`. Encoders inside an
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
        settings = getattr(module, "settings", None)
        described = [name, _kind(type(module)), settings() if callable(settings) else None]
        digest.update(json.dumps(described, sort_keys=True).encode())
        ours |= {base for base in type(module).__mro__ if is_ours(base.__module__)}
        if isinstance(module, Encoder) and not is_ours(type(module).__module__):
            digest.update(code_digest_of_user(type(module).__module__).encode())
        if loaded_from := getattr(module, "loaded_from", None):
            digest.update(json.dumps(loaded_from, sort_keys=True, default=str).encode())
    digest.update(code_digest(ours).encode())
    for name, value in sorted(encoder.state_dict().items()):
        digest.update(_described(name, value))
    return digest.hexdigest()


def _kind(module: type[nn.Module]) -> str:
    """Name of a class: of ours without the place where it lies, which may change."""
    name = module.__qualname__
    return name if is_ours(module.__module__) else f"{module.__module__}.{name}"


def _described(name: str, value: Any) -> bytes:
    if not isinstance(value, Tensor):  # what a module of someone else keeps as extra state
        return f"{name}{value!r}".encode()
    # As bytes by way of torch, as numpy has no bfloat16.
    content = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return f"{name}{value.dtype}{tuple(value.shape)}".encode() + content.tobytes()
