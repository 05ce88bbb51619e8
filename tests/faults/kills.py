"""Training, packing and generation, killed at seeded moments, resumed, compared with a whole run.

Each run is a fork of this process, killed from within by SIGKILL as it comes to the n-th of the
moments that a whole run of the same kind has: before, after and in the midst of what it writes.
"""

import contextlib
import csv
import functools
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
import torch._dynamo  # which the first step of each fork would import
from pytorch_lightning.utilities import rank_zero_only

from byola_diff.atomic import only_writer
from byola_diff.audio.files import write_wav
from byola_diff.commands import prepare_clips, pretrain, run_pretraining
from byola_diff.commit import code_commit
from byola_diff.probing import nearest
from byola_diff.soundscapes.bgknown import corpus
from byola_diff.soundscapes.bgknown.plan import BgKnownOptions
from byola_diff.soundscapes.production import items
from byola_diff.soundscapes.render.mixer import mix
from byola_diff.soundscapes.sources.library import Library, Source
from byola_diff.storage import load_checked
from byola_diff.store import packing
from byola_diff.training.learner import Learner
from byola_diff.training.monitors import MetricsFile
from tests.file_hashes import file_hashes

RATE = 8000
_TRAINING = (
    *("--out_dir=run", "--resume=auto", "--data.unit_s=0.32", "--data.batch_size=4"),
    *("--data.statistics_clips=4", "--views.mixup_memory=8", "--front_end.sample_rate=8000"),
    *("--front_end.f_max_hz=3900", "--encoder.name=AudioNTT2020", "--encoder.dim=512"),
    *("--training.projection_hidden=16", "--training.projection_dim=8", "--training.log_every=1"),
    *("--training.steps=4", "--training.checkpoint_every=2", "--training.accelerator=cpu"),
    *("--front_end.n_mels=16", "--monitor.every=2"),
    *("--training.precision=float32", "--training.logger=none", "--data.max_rejected=0.2"),
)
_MONITOR = "--monitor.manifest={inputs}/labelled/manifest.csv"
_OF_TIME = ("clips_per_s", "data_share")


@dataclass(frozen=True)
class Job:
    """A run that can be killed."""

    run: Callable[[Path], object]
    """Of the folder of inputs; in the working folder."""
    digest: Callable[[Path], dict[str, str]]
    processes: int = 1
    prepare: Callable[[Path], object] = lambda inputs: None
    """Done once before the runs, which are forks."""


@dataclass(frozen=True)
class Point:
    """One kill, and what was found after the run had been resumed."""

    job: str
    moment: str
    fault: str | None


def train(*options: str, processes: int = 1) -> "Job":
    def words(inputs: Path) -> tuple[str, ...]:
        where = [option.format(inputs=inputs) for option in options]
        return *_TRAINING, *where, f"--training.devices={processes}", _MONITOR.format(inputs=inputs)

    def run(inputs: Path) -> None:
        run_pretraining.main(*_parsed(words(inputs)), "train.py")

    return Job(run, digest_of_training, processes, lambda inputs: _parsed(words(inputs)))


_parsed = functools.cache(pretrain.parse_args)  # once for all runs: it takes a third of the time


def digest_of_training(folder: Path) -> dict[str, str]:
    """Of every value in checkpoints, and of every number in logs but those that tell the time."""
    digests = dict.fromkeys(file_hashes(folder), "")
    for path in sorted(folder.rglob("*.ckpt")):
        leaves = hashlib.sha256()
        for name, value in _leaves(load_checked(path)):
            plain = value.numpy().tobytes() if torch.is_tensor(value) else repr(value).encode()
            leaves.update(f"{name}={len(plain)}:".encode() + plain)
        digests[path.relative_to(folder).as_posix()] = leaves.hexdigest()
    for path in [*folder.glob("run/*.csv"), *folder.glob("run/*.json")]:
        text = path.read_text()
        if path.name == "metrics.csv":
            rows = csv.DictReader(text.splitlines())
            text = repr([[item for item in row.items() if item[0] not in _OF_TIME] for row in rows])
        digests[path.relative_to(folder).as_posix()] = text
    return digests


def _leaves(value, name=""):
    if isinstance(value, dict | list | tuple):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield from _leaves(inner, f"{name}.{key}")
    else:
        yield name, value


def pack(workers: int) -> Callable[[Path], object]:
    def run(inputs: Path) -> None:
        words = [inputs / "sounds", "store", "--sample-rate=48000", "--shard-mib=1"]
        sys.exit(
            prepare_clips.main([*map(str, words), f"--workers={workers}", "--max-rejected=0.2"])
        )

    return run


class _Brief(BgKnownOptions):
    duration_s = 1.0


def generate(workers: int) -> Callable[[Path], object]:
    def run(inputs: Path) -> None:
        plan = bgknown_plan(inputs, Path("made"), workers=workers)
        with only_writer(Path("made")):
            _, refused = corpus.make_bgknown(plan, ("mixer", mix))
        assert not refused, refused

    return run


def bgknown_plan(inputs: Path, out: Path, **how) -> corpus.BgKnownPlan:
    """That of a data set of five items, from what `write_sources` wrote."""
    grounds = {part: _library(inputs / part, "noise", part) for part in ("dev", "eval")}
    paths = {"esc50": inputs / "events", "background": [inputs / "dev", inputs / "eval"]}
    options = _Brief(out=out, seed=5, sample_rate=RATE, ref_db=-35.0, **paths, **how)
    return corpus.plan_bgknown(_library(inputs / "events"), grounds, options)


def _library(folder: Path, label: str | None = None, part: str | None = None) -> Library:
    sources = []
    for path in sorted(folder.glob("*.wav")):
        fold = None if part else int(path.name[0])
        group = None if part else path.name[0]
        seconds = soundfile.info(path).duration
        name = label or f"tone{fold}"
        sources.append(Source(path.name, name, seconds, fold, group=group, split=part))
    return Library(folder, tuple(sources))


_FOLDER = ("--data.root={inputs}/sounds",)
_PACKED = ("--data.source=packed", "--data.root={inputs}/store")
_ALONE, _ACCUMULATING = "--data.num_workers=0", "--training.accumulate=2"
JOBS = {
    "training": train(*_FOLDER, _ALONE),
    "training, accumulating": train(*_PACKED, _ALONE, _ACCUMULATING, "--training.schedule=cosine"),
    "packing": Job(pack(1), file_hashes),
    "generation": Job(generate(1), file_hashes),
    "training, 2 processes": train(*_PACKED, _ALONE, processes=2),
    "training, 2 loader workers": train(*_FOLDER, "--data.num_workers=2"),
    "training, 2 processes of 2 workers, accumulating": train(
        *_PACKED, "--data.num_workers=2", _ACCUMULATING, processes=2
    ),
    "packing, 2 workers": Job(pack(2), file_hashes),
    "generation, 2 workers": Job(generate(2), file_hashes),
}
# Workers import anew what they need, which takes seconds a run: not among few points.
_FEW = (
    *("training", "packing", "generation", "packing", "generation"),
    *("training, accumulating", "packing", "generation", "packing", "generation"),
)
_MANY_FROM = 40


def kill_and_resume(n_points: int, seed: int = 0, stamp: Callable = lambda point: None):
    """As many kills as asked for, each of a run of its own: a `Point` for each, and to `stamp`."""
    few = [_FEW[number % len(_FEW)] for number in range(n_points)]
    if 25 <= n_points < _MANY_FROM:
        few[-1] = "training, 2 processes"
    names = few if n_points < _MANY_FROM else [*JOBS] * (n_points // len(JOBS) + 1)
    points = []
    code_commit()  # remembered by all forks: a commit meanwhile is no fault of theirs
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_inputs(folder / "inputs")
        wholes = {}
        for number, name in enumerate(names[:n_points]):
            if name not in wholes:
                JOBS[name].prepare(folder / "inputs")
                wholes[name] = _whole(JOBS[name], folder, folder / f"whole {len(wholes)}")
            draw = random.Random(f"{seed}/{number}")
            points.append(_one(name, *wholes[name], folder, draw))
            stamp(points[-1])
    return points


def write_inputs(folder: Path) -> None:
    """Sounds to train on and to pack, their packed store, and events and backgrounds."""
    rng = np.random.default_rng(0)
    for number in range(10):
        write_wav(folder / "sounds" / f"{number}.wav", 0.1 * rng.standard_normal(24_000), RATE)
    (folder / "sounds" / "broken.wav").write_bytes(b"no sound")
    for number in range(4):
        write_wav(folder / "labelled" / f"{number}.wav", 0.1 * rng.standard_normal(4000), RATE)
    rows = [f"{n}.wav,{'ab'[n % 2]},{('train', 'test')[n // 2]}\n" for n in range(4)]
    (folder / "labelled" / "manifest.csv").write_text("file,label,split\n" + "".join(rows))
    write_sources(folder)
    plan = packing.plan_store(folder / "sounds", RATE, 1)
    packing.begin(plan, folder / "store")
    records = [
        packing.pack_shard(plan.of_shard(n), folder / "store", n) for n in range(plan.n_shards)
    ]
    packing.write_index(plan, folder / "store", records)


def write_sources(folder: Path) -> None:
    """Events and backgrounds for `bgknown_plan`."""
    rng = np.random.default_rng(1)
    for fold in range(1, 6):
        tone = 0.3 * np.sin((0.3 + 0.1 * fold) * np.arange(RATE)) * (np.arange(RATE) < 5600)
        write_wav(folder / "events" / f"{fold}-{fold}-A.wav", tone, RATE)
    for part, count in (("dev", 4), ("eval", 3)):
        for number in range(count):
            noise = 0.05 * rng.standard_normal(20_000)
            write_wav(folder / part / f"{number}.wav", noise, RATE)


def _whole(job: Job, root: Path, folder: Path) -> tuple[dict[str, str], list[list[str]]]:
    """Digest of a run that is not killed, and the moments that each of its processes came to."""
    statuses, told = _run(job, root, folder, {})
    assert set(statuses) == {0}, told
    moments = [(folder / f"moments{n}").read_text().split("\n") for n in range(job.processes)]
    for number in range(job.processes):
        (folder / f"moments{number}").unlink()
    return job.digest(folder), moments


def _one(name: str, expected: dict, moments: Sequence, root: Path, draw: random.Random) -> Point:
    """Kill a run, sometimes the resumed one again, and compare what the last leaves."""
    job, folder = JOBS[name], root / "killed"
    shutil.rmtree(folder, ignore_errors=True)
    told_moments = []
    for attempt in range(1 + (draw.random() < 0.25)):
        rank = draw.randrange(job.processes)
        kind = draw.choice(sorted(set(moments[rank])))
        places = [place for place, moment in enumerate(moments[rank]) if moment == kind]
        statuses, told = _run(job, root, folder, {rank: draw.choice(places)})
        told_moments.append(kind)
        if attempt == 0 and statuses[rank] != -signal.SIGKILL:
            return Point(name, kind, f"did not come to its end: {statuses}: {told}")
    statuses, told = _run(job, root, folder, {})
    moment = ", then ".join(told_moments)
    if set(statuses) != {0}:
        return Point(name, moment, f"can't be resumed, {statuses}: {told[-3000:]}")
    for path in folder.glob("moments*"):
        path.unlink()
    try:
        found = job.digest(folder)
    except Exception as error:
        return Point(name, moment, f"what it left can't be read: {error!r}")
    differing = [file for file in {**expected, **found} if expected.get(file) != found.get(file)]
    return Point(name, moment, f"not as uninterrupted: {sorted(differing)}" if differing else None)


def _run(job: Job, root: Path, folder: Path, deaths: dict[int, int]) -> tuple[list[int], str]:
    """Exit statuses of the processes of a run in `folder`, and what they have told.

    `deaths` has the moment, by its number, at which a process dies.
    """
    folder.mkdir(exist_ok=True)
    environment = _environment() if job.processes > 1 else {}
    children = []
    for rank in range(job.processes):
        child = os.fork()
        if child == 0:
            _become(job, root, folder, rank, deaths.get(rank), environment)
        children.append(child)
    statuses: dict[int, int] = {}
    while len(statuses) < len(children):
        child, status = os.waitpid(-1, 0)
        statuses[child] = os.waitstatus_to_exitcode(status)
        for other in children if statuses[child] else [child]:
            if other == child or other not in statuses:
                # With its workers; the other processes too, as a launcher would.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(other, signal.SIGKILL)
    told = "".join((root / f"told{rank}").read_text() for rank in range(job.processes))
    return [statuses[child] for child in children], told


def _environment() -> dict[str, str]:
    """That of a process of torchrun."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    sizes = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0"}
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "faults"}
    return sizes | where


def _become(job: Job, root: Path, folder: Path, rank: int, death: int | None, environment) -> None:
    """In a forked process: run the job, and end."""
    os.setsid()
    told = os.open(root / f"told{rank}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(told, 1)
    os.dup2(told, 2)
    os.chdir(folder)
    status = 1
    try:
        torch.set_num_threads(1)
        if environment:
            os.environ.update(environment, RANK=str(rank), LOCAL_RANK=str(rank))
            rank_zero_only.rank = rank  # read from the environment when it was imported
        passed = _watch(death)
        try:
            job.run(root / "inputs")
            status = 0
        except SystemExit as end:
            print(end.code)
            status = end.code if isinstance(end.code, int) else bool(end.code)
        Path(f"moments{rank}").write_text("\n".join(passed))
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(status)


def _watch(death: int | None) -> list[str]:
    """Make this process note the moments it comes to, and die at one of them."""
    passed: list[str] = []

    def moment(name: str, spoil: Callable[[], object] = lambda: None) -> None:
        passed.append(name)
        if death == len(passed) - 1:
            spoil()
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner: object, attribute: str, name: str) -> None:
        """A moment before a function, and one after it."""
        original = getattr(owner, attribute)

        @functools.wraps(original)
        def watched(*arguments, **more):
            moment(f"before {name}")
            result = original(*arguments, **more)
            moment(f"after {name}")
            return result

        setattr(owner, attribute, watched)

    for place in (
        *((Learner, "loss_terms", "a forward pass"), (torch.Tensor, "backward", "a backward pass")),
        *((nearest, "nearest_neighbour_accuracy", "validation"), (os, "fsync", "a flush")),
        *((Path, "replace", "a rename"), (Path, "hardlink_to", "a link")),
        *((Path, "unlink", "a removal"), (packing, "_append", "a decoding")),
        (items, "_write_wav24", "a sound"),
    ):
        around(*place)
    _watch_inside(moment)
    return passed


def _watch_inside(moment: Callable) -> None:
    """Moments amid a backward pass, and amid writing a file or a row of a log."""
    backward, save, append = torch.Tensor.backward, torch.save, MetricsFile.append
    write_bytes = Path.write_bytes

    def watched_backward(loss, *arguments, **more):
        loss.register_hook(lambda gradient: moment("amid a backward pass"))
        return backward(loss, *arguments, **more)

    def cut(path: Path) -> Callable[[], None]:
        return lambda: os.truncate(path, path.stat().st_size // 2)

    def watched_save(state, path, *arguments, **more):
        save(state, path, *arguments, **more)
        moment("amid writing tensors", cut(path))

    def watched_write(path, content):
        write_bytes(path, content)
        moment("amid writing bytes", cut(path))
        return len(content)

    def watched_append(file, step, row):
        append(file, step, row)
        moment("amid a row", lambda: os.truncate(file.path, file.path.stat().st_size - 7))

    torch.Tensor.backward, torch.save = watched_backward, watched_save
    MetricsFile.append, Path.write_bytes = watched_append, watched_write


def main() -> None:
    """For tests: run as many points as the first argument says, and print them as JSON."""
    points = kill_and_resume(int(sys.argv[1]))
    print(json.dumps([vars(point) for point in points]))


if __name__ == "__main__":
    main()
