"""What `doctor` has found, in lines for people."""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from byola_diff.commands.needs import install_extras

_WIDTH = 100
_VERB = "evaluate "
_OPTIONS = "options, encoders, formats that lack a package, and the commands that have them"
_BY_EXTRA = (f"{_OPTIONS}, by EXTRA:", f"      {install_extras(['EXTRA', 'EXTRA'])}")


def as_text(found: Mapping[str, Any]) -> str:
    """The findings in lines for people."""
    lines = []
    for name, tell in _TOLD.items():
        part = found[name]
        lines += [f"{name}: {part['problem']}"] if "problem" in part else tell(part)
    return "\n".join(line for told in lines for line in _wrapped(told))


def _wrapped(line: str, indent: str | None = None) -> list[str]:
    if line.strip().startswith("pip install"):  # to be copied
        return [line]
    if indent is None:
        indent = " " * (len(line) - len(line.lstrip()) + 4)
    how: dict[str, Any] = {"break_on_hyphens": False, "break_long_words": False}
    return textwrap.wrap(line, _WIDTH, subsequent_indent=indent, **how)


def _tell_package(part: Mapping[str, Any]) -> list[str]:
    commit = f"commit {part['commit']}" if part["commit"] else "no commit is known"
    return [f"byola-diff {part['version']}, {commit}, in {part['folder']}"]


def _tell_python(part: Mapping[str, Any]) -> list[str]:
    return [f"Python {part['version']}, {part['executable']}, on {part['system']}"]


def _tell_packages(part: Mapping[str, Any]) -> list[str]:
    fine = [f"{name} {about['version']}" for name, about in part.items() if not about["problem"]]
    lines = [f"core packages: {', '.join(fine)}"]
    for name, about in part.items():
        if problem := about["problem"]:
            what = f"{name} {about['version'] or ''}".strip()
            lines.append(f"  {what}: {problem}; every command may need it")
            lines.append(f"      pip install --force-reinstall --no-deps '{name}{about['wanted']}'")
    return lines


def _tell_audio(part: Mapping[str, Any]) -> list[str]:
    return [
        f"audio is decoded by {part['decoders']}, resampled by {part['resampler']}",
        f"  formats of soundfile: {', '.join(part['formats'])}",
    ]


def _tell_processor(part: Mapping[str, Any]) -> list[str]:
    kept = f"which are kept, as {part['threads_kept']}"
    if not part["threads_kept"]:
        kept = "fewer while other programs need the cores"
    cores = f"{part['usable_cores']} of {part['cores']} cores"
    return [f"processor: {cores}, threads: {part['threads']}, {kept}; computes {_bfloat16(part)}"]


def _tell_kernels(part: Mapping[str, Any]) -> list[str]:
    return [f"C++ kernels: {part['why_not'] or 'compiled'}"]


def _tell_gpus(part: Mapping[str, Any]) -> list[str]:
    built = f"CUDA {part['cuda_of_torch']}" if part["cuda_of_torch"] else "CPUs alone"
    lines = [
        f"GPU: {gpu['name']}, {gpu['memory_gib']} GiB, computes {_bfloat16(gpu)}"
        for gpu in part["usable"]
    ]
    return lines or [f"GPU: none that torch can use, which was built for {built}"]


def _tell_programs(part: Mapping[str, Any]) -> list[str]:
    there = [f"{name} ({about['path']})" for name, about in part.items() if about["path"]]
    lines = [f"programs: {', '.join(there) or 'none'}"]
    for name, about in part.items():
        if not about["path"]:
            lines.append(f"  {name} is missing, for {about['of']}: {about['install']}")
    return lines


def _tell_commands(part: Mapping[str, Any]) -> list[str]:
    if not any(about["works"] for about in part.values()):
        return ["commands: none is sure to work before the core packages are mended"]
    lines = [f"commands that work: {_listed([name for name in part if part[name]['works']], part)}"]
    for (packages, install), commands in _required(part).items():
        needs = "needs" if len(commands) == 1 else "need"
        lines.append(f"  {_listed(commands, part)} {needs} {', '.join(packages)}:")
        lines += [f"      {line}" for line in install]
    return lines + _tell_options(part)


def _required(part: Mapping[str, Any]) -> dict[tuple[tuple[str, ...], ...], list[str]]:
    """Commands that do not work, by the packages that they lack and what installs these."""
    found: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for command, about in part.items():
        packages = dict.fromkeys(_package(lack) for lack in about["lacks"] if not lack["of"])
        if packages:
            found.setdefault((tuple(packages), tuple(about["install"])), []).append(command)
    return found


def _package(lack: Mapping[str, Any]) -> str:
    """The package, and what is wrong with it if it is not simply absent."""
    fault = "" if lack["problem"] == "not installed" else f" ({lack['problem']})"
    return lack["package"] + fault


class _Option(NamedTuple):
    """What some commands can't do, and what mends that."""

    extra: str
    """The extra of this package; "" where that would not mend it."""
    what: str
    others: tuple[str, ...]
    """Commands that mend it, beside that which installs the extra."""


def _tell_options(part: Mapping[str, Any]) -> list[str]:
    """What options lack, each in a row for all the commands that have it, sorted by extras."""
    rows = _options(part)
    extras = list(dict.fromkeys(option.extra for option in rows))
    indent = " " * (4 + max(map(len, extras), default=0))
    lines = [*_BY_EXTRA] if any(extras) else [f"{_OPTIONS}:"] if rows else []
    for option in sorted(rows, key=lambda option: extras.index(option.extra)):
        row = f"{option.what}: {_listed(rows[option], part)}"
        begin = f"  {option.extra}".ljust(len(indent))
        lines += _wrapped(begin + row, indent + "    ")
        lines += [f"{indent}    {line}" for line in option.others]
    return lines


def _options(part: Mapping[str, Any]) -> dict[_Option, list[str]]:
    """Commands of each option, without those options that come with all their commands need."""
    rows: dict[_Option, list[str]] = {}
    missed = set()
    for command, about in part.items():
        # Of a package that is there, but broken, the package alone is installed again.
        required = [lack for lack in about["lacks"] if not lack["of"]]
        coming = {option.extra for option in map(_option, required)}
        for lack in about["lacks"]:
            if lack["of"]:
                option = _option(lack)
                commands = rows.setdefault(option, [])
                commands += [] if command in commands else [command]
                if option.others or option.extra not in coming:
                    missed.add(option)
    return {option: commands for option, commands in rows.items() if option in missed}


def _option(lack: Mapping[str, Any]) -> _Option:
    whole = install_extras([lack["extra"]])
    extra = lack["extra"] if whole in lack["install"] else ""
    fault = "" if extra else f" ({lack['package']}: {lack['problem']})"
    others = tuple(line for line in lack["install"] if line != whole)
    return _Option(extra, lack["of"] + fault, others)


def _listed(commands: Sequence[str], known: Iterable[str]) -> str:
    """Names of commands, in which `evaluate` stands once for its verbs."""
    verbs = [name.removeprefix(_VERB) for name in commands if name.startswith(_VERB)]
    others = [name.removeprefix(_VERB) for name in known if name.startswith(_VERB)]
    others = [verb for verb in others if verb not in verbs]
    names = [name for name in commands if not name.startswith(_VERB)]
    if verbs and len(others) < len(verbs):
        but = f" (but {', '.join(others)})" if others else ""
        names.append(f"all of evaluate{but}")
    elif verbs:
        names.append(f"{_VERB}{', '.join(verbs)}")
    return ", ".join(names) or "none"


def _bfloat16(device: Mapping[str, Any]) -> str:
    return "in bfloat16 too" if device["bfloat16"] else "not in bfloat16"


_TOLD: Mapping[str, Callable[[Any], list[str]]] = {
    "byola_diff": _tell_package,
    "python": _tell_python,
    "packages": _tell_packages,
    "audio": _tell_audio,
    "processor": _tell_processor,
    "kernels": _tell_kernels,
    "gpus": _tell_gpus,
    "programs": _tell_programs,
    "commands": _tell_commands,
}
