"""Modules of users, by import name, and the digest of all that runs and is read where they do.

Of a package that is all of its files. Of a module by itself: its file, the files that its texts
name, in its folder or the working directory, and whatever it imports that is not installed, at any
remove and wherever in the code. What is installed is known by the packages, as everywhere else.
A name that is put together as the code runs, of a file or of a module, is not seen.
"""

import ast
import hashlib
import importlib
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from byola_diff.encoders.code_digest import PACKAGE, module_file, modules_digest
from byola_diff.storage import sha256

_STANDARD = {Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "platstdlib")}
_INSTALLED = {"site-packages", "dist-packages"}
_LONGEST = 200
"""Letters of a text that may be the name of a file."""


def import_module_of_user(name: str) -> ModuleType:
    """The module of that import name; a ModuleNotFoundError if it or one it needs is missing."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise ModuleNotFoundError(
                f"no module {name!r}: install the package that has it, or name its folder in "
                "PYTHONPATH",
                name=error.name,
            ) from None
        raise


def identity_of_user(module: str, weights: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values that tell a model of a module from others: its code, its file, its options."""
    package = sys.modules[module.partition(".")[0]]
    path = Path(weights).expanduser()
    return {
        "module": module,
        "module_digest": [str(getattr(package, "__version__", None)), code_digest_of_user(module)],
        "weights_digest": _weights_digest(path) if weights else None,
        "options": dict(options),
    }


def _weights_digest(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder; the path itself if it is neither."""
    if not path.is_dir():
        return sha256(path) if path.is_file() else str(path)
    files = sorted(each for each in path.rglob("*") if each.is_file())
    listed = [f"{each.relative_to(path).as_posix()}\0{sha256(each)}" for each in files]
    return hashlib.sha256("".join(listed).encode()).hexdigest()


def code_digest_of_user(module: str) -> str:
    """SHA-256 of the files of a module and of all that it leads to; of nothing, if it has none."""
    waiting, seen, ours = {module}, set(), set()
    digests: list[str] = []
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if top == PACKAGE:
            ours |= {name} if module_file(name).is_file() else set()
        elif top not in seen:
            seen.add(top)
            for label, path in _files(top, installed=top == module.partition(".")[0]):
                digests.append(f"{label}\0{sha256(path)}")
                if path.suffix == ".py":
                    names, read = _named(path)
                    waiting |= names
                    digests += [f"{each.name}\0{sha256(each)}" for each in read]
    return hashlib.sha256("".join([*sorted(digests), modules_digest(ours)]).encode()).hexdigest()


def _files(top: str, installed: bool) -> Iterator[tuple[str, Path]]:
    """Files of a package or of a module by itself, also if it is `installed`."""
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):  # made without a file, as what is typed in
        return
    if spec is None:
        return
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if not folders and spec.has_location and spec.origin:
        folders = [Path(spec.origin)]
    for folder in folders:
        known = _INSTALLED & set(folder.parts) or _STANDARD & set(folder.resolve().parents)
        if installed or not known:
            for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
                label = path.relative_to(folder.parent)
                inside = label.parts[1:]
                is_hidden = "__pycache__" in inside or any(part[0] == "." for part in inside)
                if path.is_file() and not is_hidden:
                    yield label.as_posix(), path


def _named(file: Path) -> tuple[set[str], set[Path]]:
    """Modules that the code in a file imports or names, and other files that its texts name."""
    imported, texts = _parsed(file, file.stat().st_mtime_ns, file.stat().st_size)
    beside, here = _entries(file.parent), _entries(Path())
    folders = [beside[text] for text in texts & beside.keys() if beside[text].is_dir()]
    named = [places[text] for places in (beside, here) for text in texts & places.keys()]
    for inside in map(_entries, folders):
        named += [inside[text] for text in texts & inside.keys()]
    # Relative ones: what lies elsewhere is no part of the code, and may change on its own.
    paths = [text for text in texts if "/" in text and not Path(text).is_absolute()]
    named += [root / text for root in (file.parent, Path()) for text in paths]
    modules = {text for text in texts if f"{text}.py" in beside}
    # Not Path.is_file, which raises where a text names what may not be looked at.
    return imported | modules, {path for path in named if os.path.isfile(path)}  # noqa: PTH113


@lru_cache(maxsize=4096)
def _parsed(file: Path, *_: int) -> tuple[set[str], set[str]]:
    """Full names that the code in a file imports, and its texts that may name a file."""
    try:
        nodes = list(ast.walk(ast.parse(file.read_bytes())))
    except (SyntaxError, ValueError):  # a template, say
        return set(), set()
    imported = {
        alias.name for each in nodes if isinstance(each, ast.Import) for alias in each.names
    }
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    texts = {str(node.value) for node in nodes if isinstance(node, ast.Constant)}
    return imported, {text for text in texts if len(text) < _LONGEST and text.isprintable()}


def _entries(folder: Path) -> dict[str, Path]:
    readable = os.access(folder, os.R_OK)
    return {path.name: path for path in folder.iterdir()} if readable else {}
