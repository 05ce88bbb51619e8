"""Digest of an encoder: what embeddings are cached and scores are recorded under.

Code of the package counts wherever in it a file lies: of each file the text without docstrings,
comments, empty lines and imports of the package itself, which a move rewrites. Files are those that
define what is asked for, and those they import, at any remove, from the rooms that compute
embeddings.
"""

import ast
import hashlib
import importlib
import io
import json
import sys
import tokenize
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.util import resolve_name
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from byola_diff.encoders.contract import Encoder

PACKAGE = __name__.partition(".")[0]
ROOMS = ("audio", "models", "encoders")
"""Folders of the package in which imports are followed."""


def content_hash(encoder: Encoder) -> str:
    """SHA-256 of all that an embedding depends on, the same on every device.

    That is the kind of each of its modules, the `settings()` of those that have them, every weight
    and buffer, and the code of those modules that are ours; of an encoder of someone else, the file
    that defines it. Encoders inside an ensemble or a fusion are modules of it, so they count.

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
        ours |= {base for base in type(module).__mro__ if _is_ours(base.__module__)}
        if isinstance(module, Encoder) and not _is_ours(type(module).__module__):
            file = getattr(sys.modules.get(type(module).__module__), "__file__", None)
            digest.update(Path(file).read_bytes() if file else b"")  # none of one typed in
    digest.update(code_digest(ours).encode())
    for name, value in sorted(encoder.state_dict().items()):
        digest.update(_described(name, value))
    return digest.hexdigest()


def code_digest(definitions: Iterable[type | Callable[..., object]]) -> str:
    """SHA-256 of the code that classes and functions of the package are defined by."""
    waiting = {each.__module__ for each in definitions}
    seen: set[str] = set()
    while waiting:
        module = waiting.pop()
        seen.add(module)
        waiting |= set(_imported(module)) - seen
    digests = {hashlib.sha256(_code(_file(module))[0].encode()).hexdigest() for module in seen}
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == PACKAGE


def _kind(module: type[nn.Module]) -> str:
    """Name of a class: of ours without the place where it lies, which may change."""
    name = module.__qualname__
    return name if _is_ours(module.__module__) else f"{module.__module__}.{name}"


def _described(name: str, value: Any) -> bytes:
    if not isinstance(value, Tensor):  # what a module of someone else keeps as extra state
        return f"{name}{value!r}".encode()
    # As bytes by way of torch, as numpy has no bfloat16.
    content = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return f"{name}{value.dtype}{tuple(value.shape)}".encode() + content.tobytes()


def _imported(module: str) -> Iterator[str]:
    """Modules that a module imports from the rooms that count, other than the rooms as such."""
    for node in _code(_file(module))[1]:
        names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), module.rpartition(".")[0])
            names = [base, *(f"{base}.{name}" for name in names)]
        for name in names:
            if name.partition(".")[2].partition(".")[0] in ROOMS and _file(name).is_file():
                yield name


def _file(module: str) -> Path:
    """Where a module of the package lies, which may not be loaded yet."""
    root = Path(importlib.import_module(PACKAGE).__path__[0])
    return root.joinpath(*module.split(".")[1:]).with_suffix(".py")


@cache
def _code(file: Path) -> tuple[str, list[ast.Import | ast.ImportFrom]]:
    """What counts of the text of a file, and its imports of the package, which do not."""
    text = file.read_text(encoding="utf-8")
    lines = text.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    imports: list[ast.Import | ast.ImportFrom] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom) and _is_own(node):
            imports.append(node)
        elif not _is_docstring(node):
            continue
        for line in range(node.lineno - 1, node.end_lineno or node.lineno):
            lines[line] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip()), imports


def _is_own(node: ast.Import | ast.ImportFrom) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.level > 0 or _is_ours(node.module or "")
    return all(_is_ours(alias.name) for alias in node.names)


def _is_docstring(node: ast.AST) -> TypeGuard[ast.Expr]:
    """Whether it is a string that stands alone: of a module, class, function or field."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
