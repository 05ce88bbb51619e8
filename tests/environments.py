"""Virtual environments with a part of what is installed here, by links: nothing is downloaded.

A top folder that several distributions share, such as that of a namespace, comes as a whole.
"""

import os
import re
import subprocess
import venv
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

from tests.helpers import REPOSITORY

PACKAGE = "byola-diff"


def required(extras, package=PACKAGE):
    """Names of all distributions that a package requires with some of its extras.

    Raises PackageNotFoundError where one of them is not installed here.
    """
    waiting, seen = [(package, extra) for extra in ("", *extras)], set()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for line in distribution(name).requires or ():
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                waiting += [(canonical(need.name), more) for more in ("", *need.extras)]
    return {name for name, _ in seen} - {package}


def canonical(name):
    """A distribution's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


class Environment:
    """Python with this package, its core dependencies and those of some extras alone."""

    def __init__(self, folder, *extras):
        venv.EnvBuilder(symlinks=True).create(folder)
        self.python = folder / "bin" / "python"
        self.packages = next(folder.glob("lib/python*/site-packages"))
        (self.packages / "byola_diff").symlink_to(REPOSITORY / "byola_diff")
        for name in required(extras):
            self._link(distribution(name))

    def _link(self, installed):
        for path in {Path(file.parts[0]) for file in installed.files or ()}:
            place = self.packages / path
            if path.name not in ("..", "__pycache__") and not place.exists():
                place.symlink_to(installed.locate_file(path))

    def run(self, *words, cwd, **environment):
        """What `python -m byola_diff WORDS` did; output and errors as one text."""
        return self.execute("-m", "byola_diff", *words, cwd=cwd, **environment)

    def execute(self, *words, cwd, **environment):
        """What Python did with these words."""
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(
            [self.python, *words],
            cwd=cwd,
            env=kept | {"OMP_NUM_THREADS": "1"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
