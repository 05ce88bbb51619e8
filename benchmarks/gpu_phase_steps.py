"""Second phase of `gpu_run.py`: speed and memory of a whole training step, and a profile of it.

Waveforms lie on the device already; what data costs shows in the log of the pretraining runs.
"""

import gc
import time
from collections.abc import Callable

import torch
from gpu_phase import STEP_OPTIONS, parse_phase, write_json
from torch.profiler import ProfilerActivity, profile
from train_step import learner_step

BATCHES = {"cuda": (1024, 256, 64, 4096), "cpu": (4, 2)}
"""The most telling first: time may run out."""
WEIGHTS = (0.5, 0.0)
PLAIN: dict[str, bool] = dict.fromkeys(STEP_OPTIONS, False)
WAYS = {
    "cuda": (
        PLAIN,
        PLAIN | {"cuda_graphs": True},
        PLAIN | {"compile": True},
        {"compile": True, "cuda_graphs": True},
    ),
    "cpu": (PLAIN,),  # there are no CUDA graphs, and compiling alone takes a minute
}
"""Settings of `training`, tried in this order at the first two batches."""
LEAST_S = {False: 8, True: 30}
"""Seconds that must be left for one more case, compiled or not."""
TIMED_S = 3.0
"""Seconds for which steps are timed at each size."""
WARM_UP, MOST_STEPS = {"cuda": 3, "cpu": 1}, 200
PROJECTION_HIDDEN = {"cuda": 4096, "cpu": 64}
"""On a CPU this is a rehearsal."""
KERNELS = 30
Step = Callable[[int], torch.Tensor]


def timed(step: Step, batch: int, seconds: float, device: str) -> dict[str, object]:
    """Speed of whole steps: the clock is read before the first and after the last alone."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()  # before what is recorded, which takes none again
    losses = [step(index).item() for index in range(WARM_UP[device])]
    one_s = _seconds(step, 1, device)
    n_steps = max(1, min(MOST_STEPS, round(seconds / one_s)))
    step_s = _seconds(step, n_steps, device) / n_steps
    peak = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else 0.0
    return {
        "clips_per_s": batch / step_s,
        "step_ms": 1e3 * step_s,
        "steps_timed": n_steps,
        "peak_memory_gib": peak,
        "first_losses": losses,
    }


def profiled(step: Step, device: str) -> dict[str, object]:
    """The dearest kernels of a few steps, and how often the host waited or copied."""
    activities = [ProfilerActivity.CPU]
    activities += [ProfilerActivity.CUDA] if device == "cuda" else []
    step(0)
    with profile(activities=activities) as found:
        for index in range(WARM_UP[device]):
            step(1 + index)
        _wait(device)
    events = found.key_averages()
    by = "self_device_time_total" if device == "cuda" else "self_cpu_time_total"
    table = events.table(sort_by=by, row_limit=KERNELS, max_name_column_width=70)
    waits = {
        event.key: event.count
        for event in events
        if any(word in event.key for word in ("Synchronize", "Memcpy", "_local_scalar_dense"))
    }
    launches = sum(event.count for event in events if "LaunchKernel" in event.key)
    return {"table": table.splitlines(), "waits_and_copies": waits, "launches": launches}


def attempted_profile(step: Step, device: str) -> dict[str, object]:
    """The profile, or why there is none: a profiler may fail where training does not."""
    try:
        return profiled(step, device)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:300]}


def cases(device: str) -> list[tuple[dict[str, bool], int, float]]:
    """Settings, batch and weight: the first two batches in all ways, then the others plain."""
    sizes = [(batch, weight) for batch in BATCHES[device] for weight in WEIGHTS]
    telling, rest = sizes[: 2 * len(WEIGHTS)], sizes[2 * len(WEIGHTS) :]
    quick = [(way, *size) for way in WAYS[device][:2] for size in telling]
    # Size by size, as what one way compiles helps the next.
    compiled = [(way, *size) for size in telling for way in WAYS[device][2:]]
    return [*quick, *compiled, *((PLAIN, *size) for size in rest)]


def main() -> None:
    """Measure size by size, and write the figures after each."""
    options = parse_phase(__doc__)
    precision = "bfloat16" if options.device == "cuda" else "float32"
    found: dict = {"precision": precision, "commit": options.commit, "steps": [], "profiles": {}}
    torch.backends.cudnn.benchmark = True  # as `build_trainer` does
    device, hidden = torch.device(options.device), PROJECTION_HIDDEN[options.device]
    for way, batch, weight in cases(options.device):
        left_s = options.deadline - time.monotonic()
        if found["steps"] and left_s < LEAST_S[way["compile"]]:
            continue
        row: dict[str, object] = {"batch": batch, "weight": weight, **way}
        try:
            step = learner_step(precision, weight, batch, device, hidden, **way)
            row |= timed(step, batch, min(TIMED_S, options.seconds / 16), options.device)
        except Exception as error:  # out of memory, or a compiler's: other cases may do
            step, row["error"] = None, f"{type(error).__name__}: {error}".splitlines()[0][:200]
        found["steps"].append(row)
        write_json(options.out / "steps.json", found)
        print(row, flush=True)
        if step and batch == BATCHES[options.device][0]:
            name = " ".join([f"{weight:g}", *(key for key, is_on in way.items() if is_on)])
            found["profiles"][name] = attempted_profile(step, options.device)
            write_json(options.out / "steps.json", found)
        step = None
        torch.compiler.reset()  # there is a limit to what is compiled of a function
        gc.collect()  # recorded steps hold themselves
        if options.device == "cuda":
            torch.cuda.empty_cache()


def _seconds(step: Step, n_steps: int, device: str) -> float:
    _wait(device)
    start = time.perf_counter()
    for index in range(n_steps):
        step(index)
    _wait(device)
    return time.perf_counter() - start


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
