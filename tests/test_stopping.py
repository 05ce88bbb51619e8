import os
import signal
import subprocess
import sys
import time

import pytest

from byola_diff.command_line import exit_status
from byola_diff.stopping import TerminatedError, ending_with_this, stoppable

# A command that starts another one, and says which.
STARTER = """
import subprocess, sys, time
from byola_diff.stopping import ending_with_this, stoppable
waits = "import time; from byola_diff.stopping import stoppable\\nwith stoppable(): time.sleep(60)"
with ending_with_this():
    print(subprocess.Popen([sys.executable, "-c", waits]).pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_command_says_how_to_go_on(number, status, capsys):
    before = signal.getsignal(signal.SIGTERM)
    assert exit_status("prog", lambda: os.kill(os.getpid(), number), ()) == status
    assert capsys.readouterr().err == "\nprog: stopped; the same command goes on from here\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_comes_once():
    cleared = []

    def work():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            cleared.append(True)

    with pytest.raises(TerminatedError), stoppable():
        work()
    assert cleared


def test_the_environment_is_as_before():
    before = dict(os.environ)
    with ending_with_this():
        assert str(os.getpid()) in os.environ.values()
    assert dict(os.environ) == before


@pytest.mark.slow
def test_a_command_ends_with_the_killed_one_that_started_it():
    starter = subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, text=True)
    started = int(starter.stdout.readline())
    os.kill(started, 0)
    time.sleep(1)
    os.kill(started, 0)
    starter.kill()
    starter.communicate()
    for _ in range(100):
        try:
            os.kill(started, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError("it went on")
