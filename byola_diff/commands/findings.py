"""What `doctor` has found, in lines for people."""

import textwrap
from collections.abc import Callable, Mapping
from typing import Any

_WIDTH = 100


def as_text(found: Mapping[str, Any]) -> str:
    """The findings in lines for people."""
    lines = []
    for name, tell in _TOLD.items():
        part = found[name]
        lines += [f"{name}: {part['problem']}"] if "problem" in part else tell(part)
    return "\n".join(line for told in lines for line in _wrapped(told))


def _wrapped(line: str) -> list[str]:
    if line.strip().startswith("pip install"):  # to be copied
        return [line]
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
    whole = [command for command, about in part.items() if not about["lacks"]]
    lines = [f"commands that lack nothing: {', '.join(whole) or 'none'}"]
    for command, about in part.items():
        if about["lacks"]:
            works = "works, but lacks" if about["works"] else "does not work: it lacks"
            lines.append(f"  {command} {works} {'; '.join(map(_tell_lack, about['lacks']))}")
            lines += [f"      {install}" for install in about["install"]]
    return lines


def _tell_lack(lack: Mapping[str, str]) -> str:
    of = f", for {lack['of']}" if lack["of"] else ""
    return f"{lack['module']} ({lack['problem']}{of})"


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
