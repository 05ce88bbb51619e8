import os
import signal
import time
from contextlib import closing
from multiprocessing import forkserver

import pytest
import torch

from byola_diff.threads import one_thread
from byola_diff.workers import outcomes

IN_PROCESSES = pytest.param(2, marks=pytest.mark.slow)  # which import anew for seconds


def square(number):
    if number == 3:
        raise ValueError("no root of 3")
    return number * number, os.getpid(), torch.get_num_threads()


def facts_of_a_worker(_):
    ignores = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    return ignores, os.getpgid(0) == os.getpid(), os.environ.get("OPENBLAS_NUM_THREADS")


def slowly(number):
    time.sleep(0.05)
    return number


@pytest.mark.parametrize("n_workers", [1, IN_PROCESSES])
def test_every_item_has_its_result_or_its_error(n_workers):
    found = dict(outcomes(range(20), square, n_workers, ["json"]))
    assert sorted(found) == list(range(20))
    with pytest.raises(ValueError, match="no root of 3"):
        found.pop(3)()
    with one_thread():
        results = {number: result_of() for number, result_of in found.items()}
    assert all(result[0] == number * number for number, result in results.items())
    assert {threads for _, _, threads in results.values()} == {1}
    assert (os.getpid() in {process for _, process, _ in results.values()}) == (n_workers == 1)


def test_threads_of_this_process_are_as_before():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        [(_, result_of)] = outcomes([2], square, 1)
        assert result_of()[0] == 4
        [threads] = [result_of()[2] for _, result_of in outcomes([2], square, 1)]
        assert (threads, torch.get_num_threads()) == (1, 2)
    finally:
        torch.set_num_threads(before)
    assert "OPENBLAS_NUM_THREADS" not in os.environ or os.environ["OPENBLAS_NUM_THREADS"]


@pytest.mark.slow
def test_workers_are_out_of_reach_of_ctrl_c():
    # A fork server that another test has started has the environment of that time.
    forkserver._forkserver._stop()
    found = [result_of() for _, result_of in outcomes(range(2), facts_of_a_worker, 2)]
    assert set(found) == {(True, True, "1")}


@pytest.mark.parametrize("n_workers", [1, IN_PROCESSES])
def test_what_is_closed_drops_the_rest(n_workers):
    with closing(outcomes(range(10_000), slowly, n_workers)) as running:
        place, result_of = next(running)
        assert result_of() == place


def ended_by_the_system(number):
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.slow
def test_a_worker_that_the_system_ends_is_told():
    results = (result_of() for _, result_of in outcomes(range(4), ended_by_the_system, 2))
    with pytest.raises(ChildProcessError, match="perhaps for want of memory"):
        list(results)
