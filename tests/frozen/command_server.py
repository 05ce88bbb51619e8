"""Runs command lines one after another, each in a process of its own that need not import torch.

Most of the time of a small command goes into importing torch and other packages. This process
imports them once; each command runs in a fork of it, as by `python SCRIPT WORD...`: from its first
line, with nothing that an earlier command left. Nothing of this project is imported before.

Reads one command per line from standard input, a JSON list of script and words, and answers each by
a line with its exit status. What commands print goes to standard error.
"""

import contextlib
import importlib
import json
import os
import runpy
import sys
import traceback
from pathlib import Path

SLOW_TO_IMPORT = (
    *("torch", "torch._dynamo", "safetensors.torch", "einops", "jaxtyping", "jsonargparse"),
    *("soundfile", "soxr", "scipy.signal", "sklearn.linear_model", "pyloudnorm"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg"),
)


def main():
    for name in SLOW_TO_IMPORT:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run_and_end(json.loads(line))
        status = os.waitpid(child, 0)[1]
        print(os.waitstatus_to_exitcode(status), flush=True)
    os._exit(0)  # to take all modules down in order would take seconds


def run_and_end(command):
    """Run a script as the main program, and end this process as it ends."""
    os.dup2(2, 1)
    sys.argv, sys.path[0] = command, str(Path(command[0]).parent.resolve())
    status = 0
    try:
        runpy.run_path(command[0], run_name="__main__")
    except SystemExit as end:
        status = end.code or 0
        if isinstance(status, str):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
