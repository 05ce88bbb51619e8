"""Digest of the package's own code that embeddings depend on; where it lies makes no difference.

Of each file it is the text without docstrings, comments, empty lines and imports of the package
itself, which a move rewrites. Files are those that define the classes or functions asked for, and
those they import, at any remove, from the rooms that compute embeddings.
"""

import ast
import hashlib
import importlib
import io
import sys
import tokenize
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

PACKAGE = __name__.partition(".")[0]
ROOMS = ("audio", "models", "encoders")
"""Folders of the package in which imports are followed."""


def code_digest(definitions: Iterable[type | Callable[..., object]]) -> str:
    """SHA-256 of the code that classes and functions of the package are defined by."""
    waiting = {each.__module__ for each in definitions}
    seen: set[str] = set()
    while waiting:
        module = waiting.pop()
        seen.add(module)
        waiting |= {name for name in _imported(module) if _room(name) in ROOMS} - seen
    digests = {hashlib.sha256(_code(_file(module))[0].encode()).hexdigest() for module in seen}
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


def is_ours(kind: type) -> bool:
    """Whether a class is one of the package."""
    return kind.__module__.partition(".")[0] == PACKAGE


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def _imported(module: str) -> Iterator[str]:
    """Modules of the package that a module imports, other than the rooms as such."""
    package = module if _file(module).name == "__init__.py" else module.rpartition(".")[0]
    for node in _code(_file(module))[1]:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            base = resolve_name("." * node.level + (node.module or ""), package)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        yield from (name for name in names if _path(name).is_file())


def _file(module: str) -> Path:
    found = sys.modules.get(module)
    return Path(found.__file__) if found and found.__file__ else _path(module)


def _path(module: str) -> Path:
    """Where a module lies that may not be loaded yet."""
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
    nodes = list(ast.walk(ast.parse(text)))
    imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    imports = [node for node in imports if _is_own(node)]
    strings = [string for node in nodes for string in _docstrings(node)]
    for left_out in (*imports, *strings):
        for line in range(left_out.lineno - 1, left_out.end_lineno or left_out.lineno):
            lines[line] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip()), imports


def _is_own(node: ast.Import | ast.ImportFrom) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.level > 0 or (node.module or "").partition(".")[0] == PACKAGE
    return all(alias.name.partition(".")[0] == PACKAGE for alias in node.names)


def _docstrings(node: ast.AST) -> list[ast.Expr]:
    """Strings that stand alone as a statement: of modules, classes, functions and fields."""
    body = getattr(node, "body", None)
    return [
        each
        for each in (body if isinstance(body, list) else [])
        if isinstance(each, ast.Expr)
        and isinstance(each.value, ast.Constant)
        and isinstance(each.value.value, str)
    ]
