"""The harness of this folder: in small, in the slow tests with more. See CONTRIBUTING.md."""

import json
import os

import pytest

from tests.faults.__main__ import DEFAULT_DAMAGES, DEFAULT_FILES, DEFAULT_POINTS
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


def test_killed_runs_go_on_to_the_same_end():
    check(points=20)


def test_no_damage_is_accepted_and_no_whole_file_refused():
    check(damages=200)


def test_odd_files_are_read_or_refused():
    check(files=200)


@pytest.mark.slow
def test_runs_killed_at_many_moments():
    check(points=int(os.environ.get("BYOLA_DIFF_FAULT_POINTS", DEFAULT_POINTS)), seed=1)


@pytest.mark.slow
def test_many_damages():
    check(damages=DEFAULT_DAMAGES, seed=1)


@pytest.mark.slow
def test_many_odd_files():
    check(files=DEFAULT_FILES, seed=1)
