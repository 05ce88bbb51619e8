"""Modules that follow the HEAR API: importing one, and telling one from another."""

import hashlib
import importlib
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from byola_diff.storage import sha256

FUNCTIONS = ("load_model", "get_scene_embeddings", "get_timestamp_embeddings")


def import_hear_module(name: str) -> ModuleType:
    """The module of that import name.

    Raises:
        ModuleNotFoundError: If there is none, or it needs one that is missing.
        ValueError: If it lacks functions of the API.
    """
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise ModuleNotFoundError(
                f"no module {name!r}: install the package that has it, or name its folder in "
                "PYTHONPATH",
                name=error.name,
            ) from None
        raise
    missing = [function for function in FUNCTIONS if not callable(getattr(module, function, None))]
    if missing:
        raise ValueError(
            f"{name} is no HEAR module: it has no {', '.join(missing)} "
            "(https://hearbenchmark.com/hear-api.html)"
        )
    return module


def module_digest(module: ModuleType) -> str:
    """SHA-256 of the version and the code of the package that the module is in.

    The code is all Python files of the top-level package: the network is mostly in another module
    than the functions of the API. Of a module in no package it is its one file.
    """
    package = sys.modules[module.__name__.partition(".")[0]]
    digest = hashlib.sha256(str(getattr(package, "__version__", None)).encode())
    for folder in map(Path, getattr(package, "__path__", [])):
        _update(digest, folder, folder.rglob("*.py"))
    if not hasattr(package, "__path__") and package.__file__:
        file = Path(package.__file__)
        _update(digest, file.parent, [file])
    return digest.hexdigest()


def weights_digest(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder; the word itself if it is neither."""
    if path.is_file():
        return sha256(path)
    if not path.is_dir():
        return str(path)
    digest = hashlib.sha256()
    _update(digest, path, path.rglob("*"))
    return digest.hexdigest()


def _update(digest: "hashlib._Hash", root: Path, paths: Iterable[Path]) -> None:
    for path in sorted(path for path in paths if path.is_file()):
        digest.update(f"{path.relative_to(root).as_posix()}\0{sha256(path)}".encode())
