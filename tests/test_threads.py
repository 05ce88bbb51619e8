"""Threads follow what other programs leave of the cores, and say so."""

import itertools
import os
import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from byola_diff import threads
from byola_diff.commands import pretrain, run_pretraining
from byola_diff.cores import CoreUse, ThreadChooser, usable_cores, use_of_cores
from byola_diff.threads import one_thread, sharing_cores

NO_TIME = CoreUse(wall_s=0.0, n_cores=2, busy_s=0.0, own_s=0.0, waited_s=0.0)


def seconds(n_cores, others, own, waiting):
    """A second of a machine: cores used by others and by this process, and threads that wait."""
    return CoreUse(1.0, n_cores, float(others + own), float(own), float(waiting))


def after(chooser, *looks):
    """Numbers of threads after each of the seconds."""
    return [chooser.look(replace(NO_TIME, n_cores=each.n_cores), each) for each in looks]


QUIET = seconds(2, others=0.02, own=1.9, waiting=0.03)
# A busy loop on each core, beside two threads and beside one.
CROWDED = seconds(2, others=1.0, own=1.0, waiting=1.0)
FULL = seconds(2, others=1.4, own=0.6, waiting=0.4)
LEFT_ALONE = seconds(2, others=0.02, own=1.0, waiting=0.0)


def test_a_quiet_machine_keeps_all_threads():
    assert after(ThreadChooser(2), *[QUIET] * 100) == [2] * 100


def test_threads_that_wait_for_cores_become_fewer_at_the_second_look():
    assert after(ThreadChooser(2), CROWDED, CROWDED, FULL) == [2, 1, 1]


def test_a_single_busy_second_changes_nothing():
    assert after(ThreadChooser(2), CROWDED, QUIET, CROWDED, QUIET) == [2] * 4


def test_one_busy_core_of_many_costs_one_thread():
    # It runs half of the time of one core; 15.5 cores are left, but no thread is to wait.
    crowded = seconds(16, others=0.5, own=15.5, waiting=0.5)
    assert after(ThreadChooser(16), crowded, crowded)[-1] == 15


def test_many_threads_without_cores_go_in_one_step():
    # 64 busy loops beside 64 threads; and a quota of 8 cores, whose rest nobody uses.
    busy = seconds(64, others=32, own=32, waiting=32)
    assert after(ThreadChooser(64), busy, busy)[-1] == 32
    quota = seconds(64, others=0, own=8, waiting=56)
    assert after(ThreadChooser(64), quota, quota)[-1] == 8


def test_others_at_a_low_priority_who_leave_the_cores_cost_nothing():
    second = seconds(2, others=1.2, own=0.8, waiting=0.05)
    assert after(ThreadChooser(2), *[second] * 10) == [2] * 10


def test_free_cores_are_taken_again_after_three_looks():
    chooser = ThreadChooser(2, n_threads=1)
    assert after(chooser, LEFT_ALONE, LEFT_ALONE, FULL, *[LEFT_ALONE] * 3) == [1] * 5 + [2]


def test_half_a_core_of_others_is_no_room_for_two_threads():
    half = seconds(2, others=0.5, own=1.0, waiting=0.0)
    assert after(ThreadChooser(2, n_threads=1), *[half] * 50) == [1] * 50


def test_each_raise_that_was_too_much_doubles_the_patience():
    chooser, waits = ThreadChooser(2, n_threads=1), []
    for _ in range(6):
        waits.append(next(n for n in itertools.count(1) if after(chooser, LEFT_ALONE) == [2]))
        assert after(chooser, CROWDED, CROWDED) == [2, 1]
    assert waits == [3, 6, 12, 24, 48, 60]


def test_there_is_always_one_thread_and_never_more_than_at_first():
    chooser = ThreadChooser(4)
    assert min(after(chooser, *[seconds(4, others=4, own=0, waiting=3)] * 10)) == 1
    assert max(after(chooser, *[seconds(4, others=0, own=1, waiting=0)] * 10)) == 4


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the counters are Linux's")
def test_the_counters_of_the_system_grow_with_work():
    before, start = use_of_cores(), time.process_time()
    while time.process_time() - start < 0.1:
        sum(range(1000))
    now = use_of_cores()
    assert now.own_s - before.own_s >= 0.1
    assert now.busy_s - before.busy_s >= 0.05  # counted in hundredths of a second
    assert now.wall_s > before.wall_s
    assert now.waited_s >= before.waited_s
    assert now.n_cores == usable_cores() == len(os.sched_getaffinity(0))


@pytest.fixture
def machine(monkeypatch):
    """A machine whose second is what the list's last entry says; looked at all the time."""
    seconds_of, uses = [QUIET], [NO_TIME]

    def use():
        before, each = uses[-1], seconds_of[-1]
        names = ("wall_s", "busy_s", "own_s", "waited_s")
        sums = {name: getattr(before, name) + getattr(each, name) for name in names}
        uses.append(replace(before, **sums))
        return uses[-1]

    monkeypatch.setattr(threads, "use_of_cores", use)
    monkeypatch.setattr(threads, "_LOOK_EVERY_S", 0.01)
    monkeypatch.delenv("BYOLA_DIFF_FIXED_THREADS", raising=False)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield seconds_of
    torch.set_num_threads(n_threads)


def wait_for(n_threads):
    """Until this thread has that many; fails after a minute."""
    end = time.monotonic() + 60
    while torch.get_num_threads() != n_threads:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_main_thread_gets_fewer_threads_and_all_again(machine, capsys):
    with sharing_cores():
        machine.append(CROWDED)
        wait_for(1)
        machine.append(LEFT_ALONE)
        wait_for(2)
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "other programs need the cores: 1 of 2 threads (BYOLA_DIFF_FIXED_THREADS=1 keeps all)",
        "the cores are free again: 2 threads",
    ]


def test_the_number_of_threads_is_as_before_after_the_block(machine):
    with sharing_cores():
        machine.append(CROWDED)
        wait_for(1)
    assert torch.get_num_threads() == 2


def test_work_in_one_thread_stays_so_and_is_followed_by_what_is_wanted_then(machine):
    with sharing_cores():
        machine.append(CROWDED)
        wait_for(1)
        with one_thread():
            machine.append(LEFT_ALONE)
            time.sleep(0.3)
            assert torch.get_num_threads() == 1
        wait_for(2)


def test_blocks_of_one_thread_inside_one_another(machine):
    with sharing_cores():
        with one_thread():
            with one_thread():
                pass
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2


def test_a_wish_that_comes_as_a_block_of_one_thread_begins_is_kept_for_later(machine, monkeypatch):
    set_threads = torch.set_num_threads

    def set_after_a_wish(n_threads):
        set_threads(n_threads)
        threads._take_wanted()

    with sharing_cores():
        monkeypatch.setattr(torch, "set_num_threads", set_after_a_wish)
        with one_thread():
            monkeypatch.setattr(torch, "set_num_threads", set_threads)
            assert torch.get_num_threads() == 1


def test_counters_that_can_no_longer_be_read_give_all_threads_back(machine, monkeypatch, capsys):
    with sharing_cores():
        machine.append(CROWDED)
        wait_for(1)
        monkeypatch.setattr(threads, "use_of_cores", lambda: [][0])
        wait_for(2)
    assert "the use of cores can't be read" in capsys.readouterr().err


def test_only_the_first_fall_and_the_full_number_are_said(capsys):
    chooser = ThreadChooser(4)
    for n_before, n_threads in ((4, 3), (3, 2), (2, 3), (3, 4)):
        chooser.n_threads = n_threads
        threads._say(n_before, chooser)
    fell, back = capsys.readouterr().err.splitlines()
    assert "3 of 4 threads" in fell
    assert back == "the cores are free again: 4 threads"


def test_threads_can_be_kept(machine, monkeypatch):
    monkeypatch.setenv("BYOLA_DIFF_FIXED_THREADS", "1")
    monkeypatch.setattr(threads, "_watch", lambda *_: pytest.fail("watches"))
    with sharing_cores():
        assert torch.get_num_threads() == 2


def test_another_thread_than_the_main_one_is_left_alone(machine, monkeypatch):
    watched = []
    monkeypatch.setattr(threads, "_watch", lambda *_: watched.append(1))

    def work():
        with sharing_cores():
            pass

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not watched


def test_one_thread_for_a_block():
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["shares"]),
        (["--training.deterministic=true"], []),
        (["--training.accelerator=cpu", "--training.devices=2"], []),
        (["--training.accelerator=cpu", "--training.devices=1", "--training.nodes=2"], []),
    ],
)
def test_threads_stay_in_deterministic_training_and_in_several_processes(
    monkeypatch, tmp_path, options, expected
):
    found = []
    for name in ("keep_freed_memory", "hide_lightning_noise", "run"):
        monkeypatch.setattr(run_pretraining, name, lambda *_: None)
    monkeypatch.setattr(
        run_pretraining, "sharing_cores", lambda: found.append("shares") or nullcontext()
    )
    words = ["--data.source=procedural", "--training.steps=1"]
    pretrain.main([*words, *options, f"--out_dir={tmp_path}"])
    assert found == expected
