"""Digest of code of the package, wherever in it a file lies.

Of each file that is the text without docstrings, comments, empty lines and imports of the package
itself, which a move rewrites. Files are those that define what is asked for, and those they import,
at any remove, from the rooms that compute embeddings.
"""

import ast
import hashlib
import importlib
import io
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
    return modules_digest(each.__module__ for each in definitions)


def modules_digest(modules: Iterable[str]) -> str:
    """SHA-256 of the code of modules of the package, and of those they import from `ROOMS`."""
    waiting = set(modules)
    seen: set[str] = set()
    while waiting:
        module = waiting.pop()
        seen.add(module)
        waiting |= set(_imported(module)) - seen
    digests = {
        hashlib.sha256(_code(module_file(module))[0].encode()).hexdigest() for module in seen
    }
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


def is_ours(module: str) -> bool:
    """Whether a module is of the package."""
    return module.partition(".")[0] == PACKAGE


def _imported(module: str) -> Iterator[str]:
    """Modules that a module imports from the rooms that count, other than the rooms as such."""
    for node in _code(module_file(module))[1]:
        names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), module.rpartition(".")[0])
            names = [base, *(f"{base}.{name}" for name in names)]
        for name in names:
            if name.partition(".")[2].partition(".")[0] in ROOMS and module_file(name).is_file():
                yield name


def module_file(module: str) -> Path:
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
        match node:
            case ast.Import() | ast.ImportFrom() if _is_own(node):
                imports.append(node)
            case ast.Expr(value=ast.Constant(value=str())):
                pass  # a docstring, of a field too
            case _:
                continue
        for line in range(node.lineno - 1, node.end_lineno or node.lineno):
            lines[line] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip()), imports


def _is_own(node: ast.Import | ast.ImportFrom) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.level > 0 or is_ours(node.module or "")
    return all(is_ours(alias.name) for alias in node.names)
