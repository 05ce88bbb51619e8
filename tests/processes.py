"""Command lines in processes of their own, as users start them, without waiting for imports.

Most of the time of a small command goes into importing torch, Lightning and other packages. A
server (`command_server.py`) imports them once; each command runs in a fork of it, from its first
line.
"""

import atexit
import functools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
SERVER = Path(__file__).with_name("command_server.py")
PATIENCE_S = 300.0


class Started:
    """A command that was started: what it has printed so far, and its end."""

    def __init__(self, words):
        self.words = [str(word) for word in words]
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        self._out, self._errors = folder / "out", folder / "errors"
        self.pid = _ask("start", self.words, str(self._out), str(self._errors))
        self._status = None

    @property
    def stdout(self):
        return self._out.read_text() if self._out.exists() else ""

    @property
    def stderr(self):
        return self._errors.read_text() if self._errors.exists() else ""

    def is_running(self):
        if self._status is None:
            self._status = _ask("poll", self.pid)
        return self._status is None

    def wait_for(self, pattern):
        """Come back as soon as a line of the output matches."""
        end = time.monotonic() + PATIENCE_S
        while not re.search(pattern, self.stdout, re.M):
            assert self.is_running(), self.stderr
            assert time.monotonic() < end, f"{pattern} was never printed"
            time.sleep(0.01)

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill_group(self):
        """End the process and all that it has started."""
        os.killpg(self.pid, signal.SIGKILL)

    def wait(self, patience_s=PATIENCE_S):
        """The finished command, as from `subprocess.run`."""
        end = time.monotonic() + patience_s
        while self.is_running():
            if time.monotonic() > end:
                self.kill_group()
                raise TimeoutError(f"{self.words} took too long: {self.stdout}{self.stderr}")
            time.sleep(0.005)
        done = subprocess.CompletedProcess(self.words, self._status, self.stdout, self.stderr)
        self._folder.cleanup()
        return done


def start(*words):
    """Start `python WORDS...` in the repository: a script, `-m` and a module, or `-c` and code."""
    return Started(words)


def run(*words):
    """`python WORDS...` to its end."""
    return start(*words).wait()


@functools.cache
def _server():
    paths = filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")])
    settings = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    server = subprocess.Popen(
        [sys.executable, SERVER],
        cwd=REPOSITORY,
        env=os.environ | settings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(server.communicate)  # its input ends, and so does it
    return server


def _ask(*request):
    server = _server()
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    return json.loads(server.stdout.readline())
