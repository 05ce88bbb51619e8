"""Runs command lines in forks of itself, which need not import what is slow to import.

Nothing of this project is imported before a fork; nothing that one command does reaches another.
Reads requests from standard input, a JSON list a line, and answers each in a line:
`["start", WORDS, OUT, ERRORS]` by the number of the process, which writes to these files, and
`["poll", PID]` by its exit status, or null while it runs. Ends with its input.
"""

import atexit
import contextlib
import importlib
import json
import os
import runpy
import signal
import sys
import traceback
import types
from pathlib import Path

SLOW_TO_IMPORT = (
    *("torch", "torch._dynamo", "pytorch_lightning", "safetensors.torch", "einops", "jaxtyping"),
    *("jsonargparse", "pydantic", "soundfile", "soxr", "scipy.signal", "sklearn.linear_model"),
    *("pandas", "jinja2", "pyloudnorm", "matplotlib.figure", "matplotlib.backends.backend_agg"),
)


def main():
    # Answers go where only this process writes; what packages print while they load goes nowhere.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in SLOW_TO_IMPORT:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for line in sys.stdin:
        kind, *details = json.loads(line)
        answer = start(*details) if kind == "start" else poll(*details)
        print(json.dumps(answer), file=answers, flush=True)
    os._exit(0)  # to take all modules down in order would take seconds


def start(words, out, errors):
    child = os.fork()
    if child == 0:
        run_and_end(words, out, errors)
    return child


def poll(child):
    found, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def run_and_end(words, out, errors):
    """Run the command as the main program, and end this process as it ends."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Path(os.devnull).open() as nothing, Path(out).open("w") as out_file:
        os.dup2(nothing.fileno(), 0)
        os.dup2(out_file.fileno(), 1)
    with Path(errors).open("w") as errors_file:
        os.dup2(errors_file.fileno(), 2)
    status = 0
    try:
        run_as_main(words)
    except SystemExit as end:
        status = end.code or 0
        if isinstance(status, str):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()  # which multiprocessing relies on
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def run_as_main(words):
    kind, *rest = words
    sys.path[0] = ""
    if kind == "-c":
        sys.argv = ["-c", *rest[1:]]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), vars(main))
    elif kind == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = words, str(Path(kind).parent.resolve())
        runpy.run_path(kind, run_name="__main__")


if __name__ == "__main__":
    main()
