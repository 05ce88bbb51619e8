"""Files that are read back: each with its SHA-256, and none by a pickle that could run code.

A file of tensors has its hash beside it. A JSON file has its own as its last value, `file_sha256`:
that of its bytes with 64 zeros in the place of the hash, so that any altered byte is seen.
"""

import errno
import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from byola_diff.atomic import atomic_path, write_text

_UNSEALED = "0" * 64
_SEAL = re.compile(rb'"file_sha256": "([0-9a-f]{64})"\n?\}\n\Z')
_ALTERED = "its content does not match its SHA-256: truncated or altered"
_MOST_INFLATED = 10
_OF_TORCH_WRITER = ("inline_container", "PytorchStreamWriter")
"""In errors of torch's writer of files, which do not name a full disk."""


class BrokenFileError(RuntimeError):
    """A file that must not be used: truncated, altered, or of a kind that could run code."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def save_checked(state: dict[str, Any], path: Path) -> None:
    """Write tensors and plain values to `path`, and their SHA-256 to `path` + ".sha256".

    The hash appears first and names the file it belongs to: a crash between the two leaves a hash
    without a file, or beside the file that was to be replaced, which `load_checked` refuses.
    """
    with atomic_path(path) as temporary:
        try:
            torch.save(state, temporary)
        except RuntimeError as error:
            if not any(words in str(error) for words in _OF_TORCH_WRITER):
                raise
            reason = "can't be written whole; the disk may be full"
            raise OSError(errno.ENOSPC, reason, str(path)) from error
        write_text(hash_file(path), f"{sha256(temporary)}  {path.name}\n")


def load_checked(path: Path) -> dict[str, Any]:
    """Tensors and plain values written by `save_checked`, on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        BrokenFileError: If the hash is missing or differs, or the file holds anything but tensors
            and plain values.
    """
    check_hash(path)
    return load_tensors(path)


def check_hash(path: Path) -> None:
    """Compare the file with the hash beside it.

    Raises:
        FileNotFoundError: If there is no such file.
        BrokenFileError: If the hash is missing or differs.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    if not hash_file(path).is_file():
        missing = f"its hash file {hash_file(path).name} is missing"
        raise BrokenFileError(path, f"{missing}: no checkpoint of this package, or half of one")
    if [sha256(path)] != hash_file(path).read_text(errors="replace").split()[:1]:
        raise BrokenFileError(path, _ALTERED)


def copy_checked(source: Path, copy: Path) -> None:
    """Give a checked file and its hash a second name, without a second copy where links work."""
    digest = hash_file(source).read_text().split()[0]
    with atomic_path(copy) as temporary:
        try:
            temporary.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, temporary)
    write_text(hash_file(copy), f"{digest}  {copy.name}\n")


def load_tensors(path: Path) -> dict[str, Any]:
    """Content of a torch file, read with the safe loader alone.

    Raises:
        FileNotFoundError: If there is no such file.
        BrokenFileError: If it is no torch file, or holds anything but tensors and plain values.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file at {path}")
    try:
        _check_inflated(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a broken file raises depends on where it breaks
        raise BrokenFileError(path, f"not a file of plain tensors ({load_fault(error)})") from error
    if not isinstance(content, dict):
        raise BrokenFileError(path, f"holds a {type(content).__name__}, not named tensors")
    return content


def _check_inflated(path: Path) -> None:
    """Raise `ValueError` for a zip of far more than its own bytes; torch compresses nothing."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            n_bytes = sum(entry.file_size for entry in archive.infolist())
        if n_bytes > _MOST_INFLATED * path.stat().st_size:
            raise ValueError(f"its {path.stat().st_size} bytes stand for {n_bytes}")


def load_fault(error: Exception) -> str:
    """Why a safe loader refused a file, without its library's advice to load it anyway."""
    text = str(error).strip() or type(error).__name__
    if found := re.search(r"Unsupported global: GLOBAL (\S+)", text):
        return f"it asks for {found[1]}: a file that holds more than tensors could run code"
    if type(error).__name__ == "UnpicklingError" or "pickle" in text or "weights_only" in text:
        return "damaged, or holds more than tensors: such a file could run code"
    return text.splitlines()[0]


def sealed_json(values: Mapping[str, Any], indent: int = 2) -> str:
    """JSON text of the values, with its own hash as the last: see `check_seal`.

    Raises:
        ValueError: If a value is NaN or infinite.
    """
    whole = {**values, "file_sha256": _UNSEALED}
    head, _, tail = (json.dumps(whole, indent=indent, allow_nan=False) + "\n").rpartition(_UNSEALED)
    return head + hashlib.sha256(f"{head}{_UNSEALED}{tail}".encode()).hexdigest() + tail


def check_seal(path: Path, content: bytes, required: bool) -> None:
    """Compare the bytes of a JSON file with the hash within; one without may be of a former format.

    Raises:
        BrokenFileError: If the hash differs, or is `required` and missing.
    """
    seal = _SEAL.search(content)
    if seal is None:
        if required or b"file_sha256" in content:
            raise BrokenFileError(path, "its last value is no file_sha256: truncated or altered")
    else:
        whole = content[: seal.start(1)] + _UNSEALED.encode() + content[seal.end(1) :]
        if hashlib.sha256(whole).hexdigest().encode() != seal[1]:
            raise BrokenFileError(path, _ALTERED)


def read_json(path: Path) -> dict[str, Any]:
    """Named values of a JSON file.

    Raises:
        BrokenFileError: If it is no JSON file, or holds anything but named values.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # the latter of thousands of brackets
        raise BrokenFileError(path, f"not a JSON file ({error})") from error
    if not isinstance(content, dict):
        raise BrokenFileError(path, f"holds a {type(content).__name__}, not named values")
    return content


def sha256(path: Path) -> str:
    """Hex digest of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_file(path: Path) -> Path:
    """Where the digest of `path` is kept."""
    return path.with_name(f"{path.name}.sha256")
