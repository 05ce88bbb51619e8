"""First phase of `gpu_run.py`: what machine this is, and whether its GPU computes as a CPU does."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch
from gpu_phase import parse_phase, write_json

REPOSITORY = Path(__file__).parents[1]
PACKAGES = ("torch", "pytorch-lightning", "numpy", "einops", "soundfile")
TAIL_LINES = 60
TESTS = {
    "cuda": (
        ("tests/cuda/test_parts.py", "tests/cuda/test_training.py"),
        ("tests/cuda/test_with_cuda_graphs.py",),
        ("tests/cuda/test_with_compile.py",),
    ),
    "cpu": (("tests/cuda/test_parts.py",),),
}
"""Each group in a process of its own, as a fault of the device does not go away in it. A rehearsal
on a CPU leaves out training in bfloat16, which many have to emulate."""


def facts(device: str) -> dict[str, object]:
    """Card, driver and versions."""
    found: dict[str, object] = {
        "device": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }
    if device == "cuda":
        query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv"]
        found["nvidia_smi"] = subprocess.run(query, capture_output=True, text=True).stdout
        found["device"] = torch.cuda.get_device_name()
        found["cuda"], found["cudnn"] = torch.version.cuda, torch.backends.cudnn.version()
        found["memory_gib"] = torch.cuda.get_device_properties(0).total_memory / 2**30
    return found


def run_tests(device: str, seconds: float) -> tuple[str, list[str]]:
    """A summary, and the last lines printed, of the tests marked `cuda`."""
    if find_spec("pytest") is None:
        return "pytest is not installed", []
    end, lines, ends = time.monotonic() + seconds, [], []
    for files in TESTS[device]:
        printed, ended = run_group(files, device, end - time.monotonic())
        lines += printed
        ends.append(ended)
    counts = {word: sum(f" {word}" in line for line in lines) for word in ("PASSED", "FAILED")}
    summary = f"{counts['PASSED']} passed, {counts['FAILED']} failed, {', '.join(ends)}"
    return summary, lines[-TAIL_LINES:]


def run_group(files: Sequence[str], device: str, seconds: float) -> tuple[list[str], str]:
    """Lines printed by the tests of some files, and how they ended."""
    command = [sys.executable, "-m", "pytest", "-v", "-m", "cuda", "--tb=short", *files]
    # Without what the settings of the project ask for: checks of types, and warnings as errors.
    command += ["-o", "addopts=", "-o", "filterwarnings=", "-p", "no:cacheprovider"]
    environment = os.environ | {"BYOLA_DIFF_CUDA_TESTS_ON": device}
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    try:
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env=environment,
            timeout=max(seconds, 1),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        printed, end = done.stdout, f"exit status {done.returncode}"
    except subprocess.TimeoutExpired as ended:
        printed, end = ended.stdout or b"", "ended by the clock"
    return printed.decode(errors="replace").splitlines(), end


def main() -> None:
    """Write the facts, then the outcome of the tests beside them."""
    options = parse_phase(__doc__)
    found = facts(options.device) | {"commit": options.commit}
    write_json(options.out / "facts.json", found)
    print(f"{found['device']}, torch {torch.__version__}", flush=True)
    left_s = options.deadline - time.monotonic()
    patience_s = left_s if options.device == "cuda" else 60.0  # as the GPU's minutes are few
    found["tests"], found["test_log"] = run_tests(options.device, patience_s)
    write_json(options.out / "facts.json", found)
    print(f"tests: {found['tests']}", flush=True)


if __name__ == "__main__":
    main()
