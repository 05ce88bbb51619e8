"""Say what is installed, what works, and what each command lacks, with the command to install it.

    byola-diff doctor
    byola-diff doctor --json

Nothing is changed, but for C++ of this package, which is compiled as training would. The exit
status is 0 whatever is missing: it says that everything was looked at.
"""

import argparse
import json
import os
import platform
import re
import shlex
import shutil
import sys
import tomllib
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import byola_diff
from byola_diff.commands.findings import as_text
from byola_diff.commands.needs import (
    NEEDS,
    Lack,
    in_a_line,
    install_commands,
    lacks,
    package_of,
    problem_of,
)

# Nothing else is imported before it is looked at: this has to work where nothing else does.

_PACKAGE = Path(byola_diff.__file__).parent
_MODULES = {"pyyaml": "yaml"}
"""Modules that are not called as what installs them."""
_PROGRAMS = {
    "c++": ("faster training on a CPU", "apt-get install g++"),
    "sox": ("rendering by Scaper", "apt-get install sox"),
    "git": ("the commit in records and checkpoints", "apt-get install git"),
    "apt-get": ("make free-corpus without --debs", "on Debian alone"),
}
_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[^]]*\])?\s*([^;]*)(?:;.*extra == .(\w+).)?")


def main(arguments: Sequence[str] | None = None, prog: str = "byola-diff doctor") -> int:
    """Print the findings; the exit status is 0."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("-h", "--help", "--help-all", action="help", help="show this, and exit")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    options = parser.parse_args(arguments)
    # Packages may say something as they are imported, and it is not what was asked for.
    with redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = examine()
    print(json.dumps(found, indent=2) if options.json else as_text(found))
    return 0


def examine() -> dict[str, Any]:
    """All findings as plain values; what can't be looked at has a `problem` in its place."""
    looks: dict[str, Callable[[], Any]] = {
        "byola_diff": _package,
        "python": _python,
        "packages": _core_packages,
        "audio": _audio,
        "processor": _processor,
        "kernels": _kernels,
        "gpus": _gpus,
        "programs": _programs,
        "commands": _commands,
    }
    return {name: _tried(look) for name, look in looks.items()}


def _tried(look: Callable[[], Any]) -> Any:
    try:
        return look()
    except (Exception, SystemExit) as error:  # packages may raise anything as they are imported
        return {"problem": in_a_line(error)}


def _package() -> dict[str, Any]:
    from byola_diff.commit import code_commit

    version, folder = byola_diff.__version__, str(_PACKAGE)
    return {"version": version, "commit": code_commit(), "folder": folder}


def _python() -> dict[str, Any]:
    version, system = platform.python_version(), platform.platform()
    return {"version": version, "executable": sys.executable, "system": system}


def _core_packages() -> dict[str, dict[str, Any]]:
    """Version, the wanted ones, and the problem of each core dependency."""
    found = {}
    for name, wanted in _core_requirements():
        version, module = _version(name), _MODULES.get(name, name.replace("-", "_"))
        problem = problem_of(module) or _mismatch(version, wanted)
        found[name] = {"version": version, "wanted": wanted, "problem": problem}
    return found


def _core_requirements() -> Iterator[tuple[str, str]]:
    """Name and wanted versions of each, as the checkout says, or else what is installed."""
    project = _PACKAGE.parent / "pyproject.toml"
    if project.is_file():
        listed = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    else:
        listed = metadata.requires("byola-diff") or []
    for line in listed:
        if (parts := _REQUIREMENT.match(line)) and not parts[3]:
            yield parts[1], parts[2].strip()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _mismatch(version: str | None, wanted: str) -> str | None:
    """What is wrong with the version of a package that can be imported."""
    if version is None:
        return "no version is noted of it"
    if problem := problem_of("packaging.specifiers"):
        return f"its version is not compared, as packaging is not to be had: {problem}"
    fits = import_module("packaging.specifiers").SpecifierSet(wanted).contains
    return None if fits(version, prereleases=True) else f"not {wanted}"


def _audio() -> dict[str, Any]:
    from byola_diff.audio.files import decoder_name
    from byola_diff.audio.resample import resampler_name

    formats = sorted(import_module("soundfile").available_formats())
    return {"decoders": decoder_name(), "formats": formats, "resampler": resampler_name()}


def _processor() -> dict[str, Any]:
    from byola_diff.cores import usable_cores
    from byola_diff.models.precision import computes_bfloat16
    from byola_diff.threads import why_kept

    return {
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "threads": import_module("torch").get_num_threads(),
        "threads_kept": why_kept(),
        "bfloat16": computes_bfloat16("cpu"),
    }


def _kernels() -> dict[str, Any]:
    from byola_diff.compiled import NotCompiledError, compile_library

    try:
        compile_library(_PACKAGE / "models" / "kernels.cpp")
    except NotCompiledError as error:
        return {"compiled": False, "why_not": str(error).partition("\n")[0]}
    return {"compiled": True, "why_not": None}


def _gpus() -> dict[str, Any]:
    """Those that torch can use, and the CUDA that it was built for."""
    from byola_diff.models.precision import computes_bfloat16

    torch = import_module("torch")
    usable = []
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        about = torch.cuda.get_device_properties(number)
        with torch.cuda.device(number):
            is_short = computes_bfloat16("cuda")
        memory_gib = round(about.total_memory / 2**30, 1)
        usable.append({"name": about.name, "memory_gib": memory_gib, "bfloat16": is_short})
    return {"usable": usable, "cuda_of_torch": torch.version.cuda}


def _programs() -> dict[str, dict[str, Any]]:
    """Path of each program that is called, None if there is none, and what for."""
    return {
        name: {"path": shutil.which(_called(name)), "of": of, "install": install}
        for name, (of, install) in _PROGRAMS.items()
    }


def _called(program: str) -> str:
    """What is started for a program: of the compiler, what CXX names."""
    words = shlex.split(os.environ.get("CXX", "")) if program == "c++" else []
    return words[0] if words else program


def _commands() -> dict[str, dict[str, Any]]:
    """Whether each command works, what it lacks, and the commands that make it work.

    What an option lacks has the commands that install it beside it: none has to for the others.
    """
    found, core = {}, _core_packages().values()
    is_sound = not any(about["problem"] for about in core)
    for command in NEEDS:
        lacking = lacks(command)
        required = [lack for lack in lacking if not lack.need.of]
        found[command] = {
            "works": is_sound and not required,
            "lacks": [_told(lack) for lack in lacking],
            "install": install_commands(required),
        }
    return found


def _told(lack: Lack) -> dict[str, Any]:
    need, problem = lack
    return {
        "module": need.module,
        "package": package_of(need),
        "of": need.of,
        "problem": problem,
        "extra": need.extra,
        "install": install_commands([lack]),
    }
