import csv
import errno
import os
import pickle
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from byola_diff import progress, workers
from byola_diff.audio.files import AudioFileError
from byola_diff.soundscapes.production import produce as module
from byola_diff.soundscapes.production.items import finish, finished
from byola_diff.soundscapes.production.produce import (
    Refusal,
    produce,
    write_refused,
)
from byola_diff.soundscapes.render.mixer import mix
from byola_diff.soundscapes.render.plan import ClippingError, RenderError
from tests.file_hashes import file_hashes
from tests.processes import start
from tests.soundscapes.scenes import bed, event, scene, write_sources

N_ITEMS = 12


def square(number):
    errors = {
        3: ValueError("item 3: no root of 3"),
        5: AudioFileError("five.wav", "empty: 0 bytes"),
        7: OSError(),
    }
    if number in errors:
        raise errors[number]
    return number * number, os.getpid(), torch.get_num_threads()


def fail(error, number):
    if number == 2:
        raise error
    return number


def make_item(out, roots, number):
    """One item of a small corpus: what a script does."""
    plan = scene(
        bed("a", 0.1 * number),
        event(at_s=0.05 * number, duration_s=0.5, snr_db=float(number)),
        event("slow", at_s=0.3, duration_s=0.4),
        duration_s=1.0,
    )
    jams, facts = f"jams/{number}.jams", {"number": number}
    wavs = [f"wav/{number}_{name}.wav" for name in ("mix", "dog")]
    if done := finished(out, jams, plan, wavs, facts):
        return done
    rendered = mix(plan, roots)
    audio = dict(zip(wavs, (rendered.mixture, rendered.stems[1]), strict=True))
    return finish(out, jams, plan, audio, facts, output_rate=8000)


def make_all(out, sources, n_workers):
    roots = {role: Path(sources) / role for role in ("background", "foreground")}
    work = partial(make_item, Path(out), roots)
    return produce(range(N_ITEMS), work, str, n_workers=n_workers, title="items")


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    write_sources(folder)
    return folder


@pytest.fixture(scope="module")
def one_by_one(sources, tmp_path_factory):
    out = tmp_path_factory.mktemp("one")
    _, refused = make_all(out, sources, 1)
    assert not refused
    return file_hashes(out)


@pytest.mark.parametrize("n_workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_results_in_order_and_refusals(n_workers, capfd, monkeypatch):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    numbers = list(range(20))
    done, refused = produce(numbers, square, "item {}".format, n_workers=n_workers, title="squares")
    assert [item for item, _ in done] == [n for n in numbers if n not in (3, 5, 7)]
    assert all(result[0] == item * item for item, result in done)
    assert refused == [
        Refusal("item 3", "no root of 3"),
        Refusal("item 5", "five.wav: empty: 0 bytes"),
        Refusal("item 7", "OSError"),
    ]
    assert {threads for _, (_, _, threads) in done} == {1}
    assert (os.getpid() in {process for _, (_, process, _) in done}) == (n_workers == 1)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "squares: 20/20" in printed.err


@pytest.mark.parametrize("n_workers", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (KeyError("k"), RuntimeError, "squares stopped at 2: KeyError: 'k'"),
        (
            OSError(errno.ENOSPC, "No space"),
            RuntimeError,
            "stopped at 2: disk full; free space and",
        ),
        (ModuleNotFoundError("needs scaper"), ModuleNotFoundError, "needs scaper"),
    ],
)
def test_other_errors_stop_the_work(n_workers, error, raised, message):
    with pytest.raises(raised, match=message):
        produce(range(50), partial(fail, error), str, n_workers=n_workers, title="squares")


@pytest.mark.parametrize("name", ["decoder_name", "resampler_name"])
def test_a_machine_with_other_programs_is_refused(name, monkeypatch):
    """Not its items one by one, with a list of them."""

    def elsewhere(items, work, _):
        work = pickle.loads(pickle.dumps(work))
        with monkeypatch.context() as patch:
            if len(items) == 2:
                patch.setattr(module, name, lambda: "other 0.1")
            for place, item in enumerate(items):
                yield place, partial(work, item)

    monkeypatch.setattr(workers, "in_cluster", elsewhere)
    crew = {"n_workers": 1, "title": "squares", "cluster": "there"}
    assert produce([2], square, str, **crew)[1] == []
    with pytest.raises(RuntimeError, match=r"stopped at 2: .* has .*other 0\.1.* this one has"):
        produce([2, 4], square, str, **crew)


def test_nothing_to_do():
    assert produce([], square, str, n_workers=4, title="none") == ([], [])


def test_list_of_refused_items(tmp_path):
    path = tmp_path / "refused.csv"
    refused = (Refusal("b", 'says "no", twice'), Refusal("a", "two\nlines"))
    write_refused(path, refused)
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["item", "reason"], ["b", 'says "no", twice'], ["a", "two\nlines"]]
    write_refused(path, ())
    assert not path.exists()
    write_refused(path, ())


def loud(number):
    plan = scene(bed())
    if number == 1:
        raise ClippingError(plan, "beyond full scale")
    if number == 2:
        raise RenderError(plan, "a source is called clips.wav")
    return number


@pytest.mark.parametrize("n_workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_clipping_is_known_by_its_kind_and_not_by_its_words(n_workers):
    _, refused = produce(range(3), loud, str, n_workers=n_workers, title="loud")
    assert refused == [
        Refusal("1", "scene: beyond full scale", clips=True),
        Refusal("2", "scene: a source is called clips.wav", clips=False),
    ]


@pytest.mark.slow
def test_four_workers_make_the_same_bytes(one_by_one, sources, tmp_path):
    done, _ = make_all(tmp_path, sources, 4)
    assert [item for item, _ in done] == list(range(N_ITEMS))
    assert file_hashes(tmp_path) == one_by_one


def test_what_is_finished_is_left_alone(one_by_one, sources, tmp_path):
    make_all(tmp_path, sources, 1)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.wav")}
    (tmp_path / "wav" / "3_mix.wav").write_bytes(b"broken")
    make_all(tmp_path, sources, 1)
    changed = {p.name for p, time_ns in times.items() if p.stat().st_mtime_ns != time_ns}
    assert changed == {"3_mix.wav", "3_dog.wav"}
    assert file_hashes(tmp_path) == one_by_one


def start_slowly(out, sources, n_workers=2):
    """A process that makes the items, slowly."""
    code = (
        "from tests.soundscapes.production import test_produce\n"
        f"test_produce.make_slowly({str(out)!r}, {str(sources)!r}, {n_workers})\n"
    )
    return start("-c", code)


def slow_item(out, roots, number):
    (out / f"worker-{os.getpid()}").touch()
    time.sleep(0.15)
    return make_item(out, roots, number)


def make_slowly(out, sources, n_workers):
    roots = {role: Path(sources) / role for role in ("background", "foreground")}
    work = partial(slow_item, Path(out), roots)
    produce(range(N_ITEMS), work, str, n_workers=n_workers, title="items")


def is_alive(process):
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the latter if it ends while it is read
        return False
    return state != "Z"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_stopped_and_continued(one_by_one, sources, tmp_path, kill):
    """No worker outlives the process, and the next run makes what is missing."""
    out = tmp_path / "out"
    out.mkdir()
    run = start_slowly(out, sources)
    wait_until(lambda: len(list(out.glob("jams/*.jams"))) >= 2)
    os.kill(run.pid, kill)
    done = run.wait()
    assert done.returncode != 0
    assert kill == signal.SIGKILL or "KeyboardInterrupt" in done.stderr
    workers = [int(path.name.split("-")[1]) for path in out.glob("worker-*")]
    assert workers
    wait_until(lambda: not any(is_alive(worker) for worker in workers))
    n_done = len(list(out.glob("jams/*.jams")))
    assert 2 <= n_done < N_ITEMS
    make_all(out, sources, 1)
    left_over = [
        name for name in file_hashes(out) if name.startswith("worker-") or name.endswith(".tmp")
    ]
    if kill == signal.SIGINT:
        assert not [name for name in left_over if name.endswith(".tmp")]
    assert {k: v for k, v in file_hashes(out).items() if k not in left_over} == one_by_one


def wait_until(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_draws_no_bits_from_the_number_of_threads(sources, tmp_path):
    plan = scene(bed(), event())
    roots = {role: sources / role for role in ("background", "foreground")}
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(mix(plan, roots).mixture)
    torch.set_num_threads(before)
    np.testing.assert_array_equal(*found)
