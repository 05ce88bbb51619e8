"""Work on a Ray cluster of two machines' worth of workers gives what one machine gives."""

import os
import signal
import threading
import time
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
import torch

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.cluster import in_cluster
from byola_diff.embeddings.extract import ExtractionOptions, embed
from byola_diff.encoders.content_hash import content_hash
from byola_diff.encoders.open import NamedEncoder, open_encoder
from byola_diff.models.cnn import AudioNTT2020
from byola_diff.storage import sha256
from byola_diff.tables.preprocessing import Preprocessing
from byola_diff.threads import one_thread
from byola_diff.workers import outcomes
from tests.corpus import RATE, write_corpus
from tests.helpers import REPOSITORY

pytestmark = pytest.mark.slow


MORTAL = """
import os
import signal

from byola_diff.models.encoder import AudioEncoder


class Mortal(AudioEncoder):
    is_sent = False

    def __setstate__(self, state):  # as it is read in another process
        super().__setstate__(state)
        self.is_sent = True
        with (self.notes / f"opened-{os.getpid()}").open("a") as note:
            note.write("once ")

    def _scene(self, clips):
        mark = self.notes / "killed"
        if self.is_sent and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._scene(clips)
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """A folder of PYTHONPATH, here and on all machines."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "mortal_encoder.py").write_text(MORTAL)
    return folder


@pytest.fixture(scope="module")
def machines(modules):
    """A cluster of two machines with a worker each, on this one."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        # Of the repository for the functions of this file.
        patch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), str(modules)]))
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
            with pytest.raises(ValueError, match=r"\Ano root of 3\Z"):
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


def call(work):
    return work()


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


def test_cached_embeddings_have_the_same_bytes(machines, modules, tmp_path, monkeypatch):
    """Though a worker is killed; and each has read the encoder once."""
    for name in ("audio", "notes"):
        (tmp_path / name).mkdir()
    manifest = write_corpus(tmp_path / "audio", n_clips=36)
    monkeypatch.syspath_prepend(modules)
    front_end = LogMel(sample_rate=RATE, f_max_hz=4000.0)
    kind = import_module("mortal_encoder").Mortal
    encoder = kind(front_end, Normalize(-5.0, 4.0), AudioNTT2020(dim=64))
    encoder.notes = tmp_path / "notes"
    named = NamedEncoder("mortal", encoder, content_hash(encoder))
    options = {"batch_size": 4, "precision": "float32", "progress": False}
    with one_thread():  # as there
        for name, address in {"here": None, "there": machines.address}.items():
            how = ExtractionOptions(cache=tmp_path / name, cluster=address, **options)
            embed(named, manifest, "scene", Preprocessing(), how)
    here, there = (
        {path.name: sha256(path) for path in (tmp_path / name).glob("*/*")}
        for name in ("here", "there")
    )
    assert len(here) == 2
    assert here == there
    notes = {path.name: path.read_text() for path in (tmp_path / "notes").iterdir()}
    assert notes.pop("killed") == ""
    assert 2 <= len(notes) <= 3  # the killed one, and those that did nine batches
    assert set(notes.values()) == {"once "}


@pytest.mark.parametrize("word", ["byola-diff-small", "log-mel-statistics", "hear:byola_diff.hear"])
def test_encoders_of_all_makes_can_be_sent(machines, tmp_path, word):
    manifest = write_corpus(tmp_path, n_clips=3)
    shipped = REPOSITORY / "byola_diff" / "models" / "shipped_bundles" / "byola-diff-small"
    word = f"{word}:{shipped}" if word.startswith("hear:") else word
    named = open_encoder(word, manifest)
    options = ExtractionOptions(precision="float32", progress=False)
    with one_thread():
        here, there = (
            embed(named, manifest, "scene", Preprocessing(), replace(options, cluster=address))
            for address in (None, machines.address)
        )
    assert torch.equal(here.scene, there.scene)


def last_words(number, folder):
    (folder / "begun").touch()
    try:
        for _ in range(600):  # Ray's interrupt does not end a sleep
            time.sleep(0.1)
    except KeyboardInterrupt:
        time.sleep(1)
        (folder / "ended").touch()
        raise


def test_what_is_in_work_has_ended_when_the_iterator_is_closed(machines, tmp_path):
    items = [partial(slowly, 0), *5 * [partial(last_words, 1, tmp_path)]]
    running = in_cluster(items, call, machines.address)
    next(running)
    while not (tmp_path / "begun").exists():
        time.sleep(0.1)
    start = time.monotonic()
    running.close()
    assert (tmp_path / "ended").exists()
    assert time.monotonic() - start < 30


def test_a_session_of_the_caller_is_left_alone(monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "init", None)
    monkeypatch.setattr(ray, "shutdown", None)
    with pytest.raises(ConnectionError, match="has a session of Ray already"):
        next(in_cluster([1], square, "auto"))


def test_what_cannot_be_sent_is_told(machines):
    lock = threading.Lock()
    with pytest.raises(ValueError, match=r"can't be sent to other machines: .*lock"):
        next(in_cluster([1], lambda number: (number, lock), machines.address))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_no_cluster_is_told(address):
    pytest.importorskip("ray")
    with pytest.raises(ConnectionError, match=rf"--cluster {address}: no such Ray cluster"):
        next(in_cluster([1], square, address))
