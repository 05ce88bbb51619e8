"""The harness of this folder: in small, in the slow tests with more. See CONTRIBUTING.md."""

import json
import os

import pytest

from tests.faults.__main__ import DEFAULT_DAMAGES, DEFAULT_FILES
from tests.processes import start

HOURS = 12 * 3600


def check(points=0, damages=0, files=0, seed=0):
    """In a process of its own: the forks of a harness must not have the threads of other tests."""
    numbers = [f"--points={points}", f"--damages={damages}", f"--files={files}", f"--seed={seed}"]
    done = start("-m", "tests.faults", "--json", *numbers).wait(HOURS)
    assert done.returncode == 0, done.stderr
    *counts, faults = json.loads(done.stdout.splitlines()[-1])
    assert faults == []
    assert counts == [points, damages, files]


def test_few_kills_damages_and_odd_files():
    check(points=20, damages=200, files=200)  # of one process, which imports all it needs once


@pytest.mark.slow
def test_runs_killed_at_many_moments():
    check(points=int(os.environ.get("BYOLA_DIFF_FAULT_POINTS", "1000")), seed=1)


@pytest.mark.slow
def test_many_damages():
    check(damages=DEFAULT_DAMAGES, seed=1)


@pytest.mark.slow
def test_many_odd_files():
    check(files=DEFAULT_FILES, seed=1)
