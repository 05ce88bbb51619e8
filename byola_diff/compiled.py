"""C++ of this package, compiled on the machine that runs it, where there is a compiler."""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch

_OFF = "BYOLA_DIFF_COMPILED"
_FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp")
_LONGEST_S = 120


class NotCompiledError(Exception):
    """Why there are no functions of a C++ file."""


@cache
def compiled_library(source: Path) -> ctypes.CDLL | None:
    """The functions of a C++ file, which is compiled for this machine once and then kept.

    None, which is said once, where there are none: see `compile_library`; and None with
    `BYOLA_DIFF_COMPILED=0` in the environment.
    """
    if os.environ.get(_OFF) == "0":
        return None
    try:
        return compile_library(source)
    except NotCompiledError as error:
        print(error, file=sys.stderr)
        return None


def compile_library(source: Path) -> ctypes.CDLL:
    """As `compiled_library`; the file has to have a function `max_threads`, of OpenMP.

    Raises:
        NotCompiledError: If there is no compiler, it fails, or the threads of what it makes are not
            PyTorch's; and with `BYOLA_DIFF_COMPILED=0` in the environment.
    """
    if os.environ.get(_OFF) == "0":
        raise NotCompiledError(f"{source.name} is switched off by {_OFF}=0")
    try:
        library = _load(source)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:  # as without a home
        reason = (getattr(error, "stderr", "") or str(error)).strip()
        text = f"{source.name} is not compiled, which is slower: {reason}"
        raise NotCompiledError(text) from error
    if not _shares_threads(library):
        raise NotCompiledError(f"{source.name} is not used: its threads are not PyTorch's")
    return library


def _load(source: Path) -> ctypes.CDLL:
    compiler = shlex.split(os.environ.get("CXX") or "c++")
    if not compiler or shutil.which(compiler[0]) is None:
        raise FileNotFoundError("there is no C++ compiler (as of `apt-get install g++`)")
    path = _kept_path(source, _run([*compiler, "--version"]))
    if path.is_file():
        try:
            return ctypes.CDLL(str(path))
        except OSError:  # cut short, as by a full disk: made again
            path.unlink()
    _compile(compiler, source, path)
    return ctypes.CDLL(str(path))


def _kept_path(source: Path, compiler_version: str) -> Path:
    """Where the library is kept: another one for each compiler, processor and text."""
    inputs = "\0".join([compiler_version, *_FLAGS, _processor(), source.read_text()])
    name = f"{source.stem}-{hashlib.sha256(inputs.encode()).hexdigest()[:16]}.so"
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return folder / "byola_diff" / name


def _compile(compiler: Sequence[str], source: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as made:
        part = Path(made) / path.name
        _run([*compiler, *_FLAGS, "-shared", "-fPIC", "-o", str(part), str(source)])
        part.replace(path)


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_LONGEST_S)
    return done.stdout


def _processor() -> str:
    """What `-march=native` depends on."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return f"{platform.machine()} {platform.processor()}"
    lines = cpuinfo.read_text().splitlines()
    named = [line for line in lines if line.startswith(("model name", "flags", "Features"))]
    return "\n".join(sorted(set(named)))


def _shares_threads(library: ctypes.CDLL) -> bool:
    """Whether its threads are PyTorch's, since two pools would fight over the cores."""
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(n_threads + 1)
        return library.max_threads() == n_threads + 1
    finally:
        torch.set_num_threads(n_threads)
