"""Peak memory of training, packing, embedding and generating, beyond what the imports take.

    python benchmarks/memory.py --json memory.json
    python benchmarks/memory.py --minutes 40 --cases 'embed*' 'pack*'

Each case runs in a process of its own, on sounds made here. Figures are resident memory in MiB as
Linux counts it: what the process holds after the imports, and its peak beyond that. With two
workers it is that of all processes together, looked at 50 times a second, in which a page that
several share counts once.
"""

import argparse
import fnmatch
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch
from train_step import Clock, Precision, our_step

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.commands import make_bgknown, prepare_clips
from byola_diff.embeddings.extract import ExtractionOptions, embed
from byola_diff.embeddings.extracted import Readout
from byola_diff.encoders.content_hash import content_hash
from byola_diff.encoders.open import NamedEncoder
from byola_diff.models.cnn import AudioNTT2022
from byola_diff.models.encoder import AudioEncoder
from byola_diff.tables.manifest import Clip, Manifest
from byola_diff.tables.preprocessing import Preprocessing

RATE, CHANNELS = 44_100, 2
N_SHORT, SHORT_S = 60, 10
LONG = "long.wav"
N_STEPS = 2  # the second has the state of the optimiser
LOOK_EVERY_S = 0.02


def write_recordings(folder: Path, minutes: float) -> None:
    """Faint noise: short recordings, and one of so many minutes."""
    folder.mkdir()
    lengths_s = {f"{number:02}.wav": SHORT_S for number in range(N_SHORT)}
    for name, length_s in {**lengths_s, LONG: round(60 * minutes)}.items():
        draw = np.random.default_rng(0)
        with soundfile.SoundFile(folder / name, "w", RATE, CHANNELS, "PCM_16") as file:
            for _ in range(length_s):
                file.write(draw.standard_normal((RATE, CHANNELS), np.float32) / 10)


def train(batch: int, precision: Precision, weight: float, _: Path) -> None:
    """Steps, each of which makes its clips."""
    cpu = torch.device("cpu")
    step = our_step(precision, weight, cpu)
    for index in range(N_STEPS):
        step(index, batch, Clock(cpu))


def pack(n_workers: int, folder: Path) -> None:
    """All recordings, in four shards."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        words = [str(folder / "recordings"), f"{out}/packed", "--sample-rate", "16000"]
        words += ["--shard-mib", "16", "--workers", str(n_workers)]
        assert prepare_clips.main(words) == 0


def embed_long(readout: Readout, folder: Path) -> None:
    """The long recording, into a cache."""
    torch.manual_seed(0)
    encoder = AudioEncoder(LogMel(), Normalize(-10.0, 4.0), AudioNTT2022())
    named = NamedEncoder("benchmark", encoder, content_hash(encoder))
    manifest = Manifest(folder / "recordings", (Clip(LONG, ()),), ())
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        options = ExtractionOptions(cache=Path(cache), precision="float32", progress=False)
        embed(named, manifest, readout, Preprocessing(), options)


def generate(folder: Path) -> None:
    """Items of Background-known ESC-50 and their sounds, by our own mixer."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        words = ["--esc50", "procedural", "--background", "procedural", "--out", f"{out}/bgknown"]
        words += ["--limit", "20", "--clips-per-label", "5", "--renderer", "mixer"]
        assert make_bgknown.main(words) == 0


PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
CASES: dict[str, Callable[[Path], None]] = {
    **{
        f"train, batch {batch}, {precision}, weight {weight:g}": partial(
            train, batch, precision, weight
        )
        for batch in (64, 256)
        for precision in PRECISIONS
        for weight in (0.0, 0.5)
    },
    "pack, 1 worker": partial(pack, 1),
    "pack, 2 workers": partial(pack, 2),
    "embed, scene": partial(embed_long, "scene"),
    "embed, timestamps": partial(embed_long, "timestamps"),
    "generate, Background-known": generate,
}
OF_SEVERAL = "pack, 2 workers"


def measured(case: str, folder: Path) -> dict[str, float]:
    """MiB after the imports, and the peak beyond them, of this process or of all it starts."""
    baseline = _own_mib("VmRSS")
    with _peak_of_family() as family, redirect_stdout(sys.stderr):
        CASES[case](folder)
    peak = family["mib"] if case == OF_SEVERAL else _own_mib("VmHWM")
    return {"baseline_mib": round(baseline, 1), "beyond_mib": round(peak - baseline, 1)}


def _own_mib(kind: str) -> float:
    """Resident memory of this process, now (VmRSS) or at its peak (VmHWM)."""
    return _kib(Path("/proc/self/status"), kind) / 1024


def _kib(file: Path, kind: str) -> int:
    lines = file.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:"))


@contextmanager
def _peak_of_family() -> Iterator[dict[str, float]]:
    """The most that this process and those below it held together while the block ran."""
    most, ended = {"mib": 0.0}, threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK_EVERY_S):
            most["mib"] = max(most["mib"], sum(map(_share_mib, _family(os.getpid()))))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield most
    finally:
        ended.set()
        watcher.join()


def _family(process: int) -> Iterator[int]:
    yield process
    try:
        lists = [file.read_text() for file in Path(f"/proc/{process}/task").glob("*/children")]
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return
    for child in " ".join(lists).split():
        yield from _family(int(child))


def _share_mib(process: int) -> float:
    try:
        return _kib(Path(f"/proc/{process}/smaps_rollup"), "Pss") / 1024
    except (FileNotFoundError, ProcessLookupError, StopIteration):
        return 0.0


def _in_own_process(case: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", case, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Parse, measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20, help="length of the long recording")
    parser.add_argument("--cases", nargs="+", default=["*"], help="their names, with * and ?")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        case, folder = options.measure
        print(json.dumps(measured(case, Path(folder))))
        return
    if unknown := [each for each in options.cases if not fnmatch.filter(CASES, each)]:
        parser.error(f"--cases: no case is called {', '.join(unknown)}; there are {list(CASES)}")
    figures = {}
    print(f"{'MiB; recording of ' + format(options.minutes, 'g') + ' minutes':44}imports  beyond")
    with tempfile.TemporaryDirectory() as folder:
        write_recordings(Path(folder) / "recordings", options.minutes)
        for case in CASES:
            if any(fnmatch.fnmatchcase(case, pattern) for pattern in options.cases):
                figures[case] = _in_own_process(case, Path(folder))
                baseline, beyond = figures[case].values()
                print(f"{case:44}{baseline:7.0f} {beyond:7.0f}", flush=True)
    if options.json:
        about = {"minutes": options.minutes, "torch": torch.__version__, "cases": figures}
        options.json.write_text(json.dumps(about, indent=2) + "\n")


if __name__ == "__main__":
    main()
