"""Minutes on a machine with a GPU to figures and encoders, in one command.

    python benchmarks/gpu_run.py --minutes 12 --corpus DIR --out OUT --commit $(git rev-parse HEAD)

Four phases, each in processes of its own, so that a fault of one does not touch the next:
    facts      card, driver, versions; the tests marked `cuda`              -> facts.json
    steps      clips/s and memory of a training step by batch, plain, with
               `training.compile`, `training.cuda_graphs` and both; profiles -> steps.json
    corpus     DIR decoded and packed, procedural sounds beside it          -> corpus.json
    pretrain   at difference weights 0.5 and 0, in all time that is left,
               in the way of stepping that was fastest                      -> pretrain.json
Encoders are written at a half and at the end of each run, as `weight_W_half.tar` and
`weight_W_end.tar` with the log beside the bundle; above 15 MiB in parts `.tar.0`, `.tar.1`, joined
by `cat`. Their settings are those of diff2024.yaml, but for `--set encoder.name=AudioNTT2020 ...`.
Whatever is there when the command is stopped or killed is whole. OUT holds eight files, none above
15 MiB, as they may have to be carried away by narrow ways. Below three minutes each phase still
gets 20 s, so that the whole takes longer than asked for.

DIR is a folder of audio in any depth. With DIR/clips, that part alone is trained on, and the
clips of DIR/labelled/manifest.csv (columns file,label and split or fold) are scored as training
goes on. `select_corpus.py` makes such a folder. What a bare image lacks: `gpu_requirements.txt`.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

HERE = Path(__file__).parent
NEEDED = (
    *("torch", "pytorch_lightning", "numpy", "einops", "jaxtyping", "safetensors", "tqdm"),
    *("soundfile", "jsonargparse", "docstring_parser", "pydantic", "yaml"),
)
OF_USE = {"soxr": "recordings that are not at 16 kHz are left out", "pytest": "no CUDA tests"}
SHARES = {"facts": (0.15, 120), "steps": (0.25, 200), "corpus": (0.10, 60)}
"""Share of the time that a phase may take, and the most seconds."""
LEAST_S = {"cuda": 20, "cpu": 13}
"""Seconds that each phase gets even so: less than it takes to start is of no use."""
LEAST_AGAIN_S = 60
"""Seconds that must be left for a run that failed to be made again."""
GRACE_S = {"cuda": 15, "cpu": 90}
"""Seconds after its time in which a phase is not killed yet, as it may be writing. A rehearsal on a
CPU that does other work as well is to come to its end."""


def main() -> int:
    """Exit status: 0, 1 if a phase failed, 2 if what all need is missing, 130 if stopped."""
    start = time.monotonic()
    options = parse_args()
    if not say_what_is_missing(options):
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="gpu_run_", dir=options.scratch))
    signal.signal(signal.SIGTERM, _stop)  # as Ctrl-C does
    status, went_well = 0, True
    try:
        for phase in SHARES:
            share, most_s = SHARES[phase]
            seconds = max(min(most_s, share * 60 * options.minutes), LEAST_S[options.device])
            went_well = run_phase(phase, seconds, scratch, options) and went_well
        end = start + 60 * options.minutes
        for runs_left, weight in ((2, "0.5"), (1, "0")):
            went_well = pretrain(weight, runs_left, end, scratch, options) and went_well
    except KeyboardInterrupt:
        print("\nstopped: what there is", flush=True)
        status = 130
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print_table(options.out, time.monotonic() - start)
    return status or int(not went_well)


def say_what_is_missing(options: argparse.Namespace) -> bool:
    """Print in the first second what is not there; whether the run can go on."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if not options.corpus.is_dir():
        missing.append(f"the corpus {options.corpus}")
    if options.device == "cuda" and shutil.which("nvidia-smi") is None:
        missing.append("a GPU (nvidia-smi is not there; --device cpu is a dry run)")
    for name, consequence in OF_USE.items():
        if find_spec(name) is None:
            print(f"not installed: {name}: {consequence}", flush=True)
    if missing:
        print(f"gpu_run: missing: {', '.join(missing)}", file=sys.stderr)
        print(f"packages: see {HERE / 'gpu_requirements.txt'}", file=sys.stderr)
        return False
    labelled = options.corpus / "labelled" / "manifest.csv"
    print(f"labelled clips: {labelled if labelled.is_file() else 'none, so no scores'}", flush=True)
    return True


def pretrain(
    weight: str, runs_left: int, end: float, scratch: Path, options: argparse.Namespace
) -> bool:
    """Run the last phase at a weight, and once more if it failed early; whether it went well."""
    words, settings = ["--weight", weight], ["--set", *options.set]
    seconds = max((end - time.monotonic()) / runs_left, LEAST_S[options.device])
    if run_phase("pretrain", seconds, scratch, options, *words, *settings):
        return True
    seconds = (end - time.monotonic()) / runs_left
    if seconds < LEAST_AGAIN_S:
        return False
    # Perhaps the way of stepping that was fastest failed: this time it is that of `PLAIN`.
    words += [*settings, "training.compile=false"]
    return run_phase("pretrain", seconds, scratch, options, *words)


def run_phase(
    phase: str, seconds: float, scratch: Path, options: argparse.Namespace, *more: str
) -> bool:
    """Run a phase in its own process; whether it went well, which changes nothing for the next."""
    print(f"\n== {' '.join([phase, *more])}: {seconds:.0f} s", flush=True)
    command = [sys.executable, str(HERE / f"gpu_phase_{phase}.py"), *more]
    command += ["--seconds", f"{seconds:.1f}", "--device", options.device, "--out", options.out]
    command += ["--scratch", scratch, "--corpus", options.corpus]
    command += ["--commit", options.commit] if options.commit else []
    command += ["--started", time.monotonic()]  # its imports count, too
    # The package need not be installed there: this checkout comes first.
    path = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [str(word) for word in command], env=os.environ | {"PYTHONPATH": path}
    )
    try:
        process.wait(seconds + GRACE_S[options.device])
    except subprocess.TimeoutExpired:
        print(f"{phase} took more than its time and is ended", flush=True)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for unfinished in options.out.glob(".*.tmp"):
            unfinished.unlink()
    if process.returncode:
        print(f"{phase} ended with status {process.returncode}", flush=True)
    return process.returncode == 0


def print_table(out: Path, seconds: float) -> None:
    """Print the figures of all phases that left some."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(out.glob("*.json"))}
    print(f"\n== after {seconds / 60:.1f} minutes, in {out}")
    facts = found.get("facts", {})
    print(f"{facts.get('device', 'device unknown')}; tests: {facts.get('tests', 'none')}")
    for row in found.get("steps", {}).get("steps", []):
        name = f"batch {row['batch']}, weight {row['weight']:g}"
        name += "".join(f", {way}" for way in ("compile", "cuda_graphs") if row.get(way))
        figures = row.get("error") or (
            f"{row['clips_per_s']:.0f} clips/s, {row['step_ms']:.1f} ms a step, "
            f"{row['peak_memory_gib']:.1f} GiB"
        )
        print(f"{name:48}{figures}")
    for name, row in found.get("corpus", {}).items():
        print(f"{name:26}{json.dumps(row)}")
    for name, row in found.get("pretrain", {}).items():
        print(f"{name:26}{json.dumps(row)}")
    for path in sorted(out.iterdir()):
        print(f"  {path.name}  {path.stat().st_size / 2**20:.2f} MiB")


def parse_args() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, required=True, help="for all phases together")
    parser.add_argument("--corpus", type=Path, required=True, help="folder of audio")
    parser.add_argument("--out", type=Path, required=True, help="folder for figures and encoders")
    parser.add_argument("--scratch", type=Path, help="folder for all else (default: temporary)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="GROUP.NAME=VALUE", help="settings of both encoders"
    )
    parser.add_argument("--commit", help="version of the code, where git cannot tell it")
    options = parser.parse_args()
    if not 0 < options.minutes < float("inf"):
        parser.error("--minutes must be positive")
    return options


def _stop(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
