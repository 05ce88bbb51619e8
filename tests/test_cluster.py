"""Work on a Ray cluster of two machines' worth of workers gives what one machine gives."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from byola_diff.cluster import in_cluster
from byola_diff.storage import sha256
from byola_diff.workers import outcomes
from tests.helpers import REPOSITORY

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def machines():
    """A cluster of two machines with a worker each, on this one."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(REPOSITORY))  # for the functions of this file
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        cluster.add_node(num_cpus=1)
        yield cluster
        cluster.shutdown()


def square(number):
    if number == 3:
        raise ValueError("no root of 3")
    return number * number, os.getpid(), Path.cwd()


def test_every_item_has_its_result_or_its_error(machines, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = {}
    for place, result_of in outcomes(range(12), square, 1, cluster=machines.address):
        if place == 3:
            with pytest.raises(ValueError, match="no root of 3"):
                result_of()
        else:
            found[place] = result_of()
    assert {place: result[0] for place, result in found.items()} == {
        number: number * number for number in range(12) if number != 3
    }
    assert os.getpid() not in {result[1] for result in found.values()}
    assert {result[2] for result in found.values()} == {tmp_path}


def die_once(number, folder):
    mark = folder / f"{number}"
    if number % 3 == 0 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_what_a_killed_worker_had_in_hand_is_done_again(machines, tmp_path):
    done = in_cluster(range(7), partial(die_once, folder=tmp_path), machines.address)
    assert dict(sorted((place, result_of()) for place, result_of in done)) == {
        number: number for number in range(7)
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "3", "6"]


def slowly(number):
    time.sleep(0.3)
    return number


def test_a_machine_that_is_lost_costs_its_part_only(machines):
    extra = machines.add_node(num_cpus=2)
    running = in_cluster(range(24), slowly, machines.address)
    found = {}
    for place, result_of in running:
        found[place] = result_of()
        if len(found) == 4:
            machines.remove_node(extra, allow_graceful=False)
    assert found == {number: number for number in range(24)}


def test_a_packed_store_has_the_same_bytes(machines, tmp_path):
    from byola_diff.commands.prepare_clips import main
    from tests.store.store_maker import write_sounds

    source = write_sounds(tmp_path / "source", [200_000 + n for n in range(5)])
    words = ["--sample-rate", "16000", "--shard-mib", "1"]
    for name, more in {"here": [], "there": ["--cluster", machines.address]}.items():
        assert main([str(source), str(tmp_path / name), *words, *more]) == 0
    here, there = (
        {path.name: sha256(path) for path in sorted((tmp_path / name).glob("*")) if path.is_file()}
        for name in ("here", "there")
    )
    assert len([name for name in here if name.startswith("shard-")]) > 1
    assert here == there


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_no_cluster_is_told(address):
    pytest.importorskip("ray")
    with pytest.raises(ConnectionError, match=rf"--cluster {address}: no such Ray cluster"):
        next(in_cluster([1], square, address))
