"""How far a run is: what the console shows of it, and where it ends if bounded by minutes."""

import logging
import time
import warnings
from typing import Any

import pytorch_lightning as pl
from tqdm import tqdm

from byola_diff.progress import on_a_terminal, progress
from byola_diff.training.monitors import Meter, StepCallback, is_due

UNBOUNDED_STEPS = 2**40
"""Length of a run whose end is not known yet."""


class Progress(StepCallback):
    """A bar on a terminal; elsewhere, as in a log file, one line per row of `metrics.csv`."""

    def __init__(self, meter: Meter) -> None:
        """Take the meter, which must come before this in the list of callbacks."""
        self.meter = meter
        self.bar: tqdm | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Say what is trained on; open the bar where the run starts or goes on."""
        if not trainer.is_global_zero:
            return
        precision = "bfloat16" if pl_module.uses_bfloat16 else "float32"
        devices = f"{trainer.world_size} x {pl_module.device.type}"
        steps, start = _steps(trainer), trainer.global_step
        length = f"{steps} steps" if steps else "as many steps as the time allows"
        print(f"pretraining on {devices} in {precision}, {length}", flush=True)
        if on_a_terminal():
            self.bar = progress(title="pretraining", total=steps, initial=start, unit="steps")

    def after_step(self, trainer: pl.Trainer, pl_module: Any, outputs: Any) -> None:
        """Count the step; show the numbers where there are new ones."""
        if not trainer.is_global_zero:
            return
        step, row = self.meter.latest
        text = ""
        if step == trainer.global_step:
            text = (
                f"loss {row['loss/total']:.4f}, {row['clips_per_s']:.1f} clips/s, "
                f"waiting for data {row['data_share']:.0%}"
            )
        if self.bar is None and text:
            left = self._time_left(trainer)
            print(f"step {step}/{_steps(trainer) or '?'}: {text}{left}", flush=True)
        elif self.bar is not None:
            if text:
                self.bar.set_postfix_str(text, refresh=False)
                self.bar.total = _steps(trainer)  # a run bounded by minutes learns it by and by
            self.bar.update()

    def _time_left(self, trainer: pl.Trainer) -> str:
        """What the rest takes at the speed of the last row, in words; nothing if none is known."""
        (step, row), steps = self.meter.latest, _steps(trainer)
        if steps is None or step == steps:
            return ""
        step_s = self.meter.batch_size * trainer.accumulate_grad_batches / row["clips_per_s"]
        return f", {tqdm.format_interval((steps - step) * step_s)} left"

    def teardown(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        """Leave the bar as it is, also after an error."""
        if self.bar is not None:
            self.bar.close()


def _steps(trainer: pl.Trainer) -> int | None:
    """Steps of the run, as far as known."""
    return None if trainer.max_steps == UNBOUNDED_STEPS else trainer.max_steps


class TimeLimit(StepCallback):
    """Ends training after a number of minutes, checkpoints included, and the schedule with it.

    With each row of the log, the trainer's number of steps becomes what the run would reach in its
    time at the speed it had so far. All that follows that number (learning rate, last row of the
    log, last checkpoint) thus follows the clock. What the first step takes longer than the second,
    as it compiles, is not counted as speed. Must come first among the callbacks.

    All processes take the clock of the first. Time spent before an interruption counts.
    """

    def __init__(self, minutes: float, every: int) -> None:
        self.limit_s, self.every = 60 * minutes, every
        self.elapsed_s = 0.0
        """Seconds of training at the last look at the clock, or in the run that is resumed."""
        self.untimed_steps = 0
        """Steps of that run before it had a clock, bounded by their number."""
        self.slow_s = 0.0
        """Seconds of these that first steps took beyond the second ones."""
        self._first_steps_s: list[float] = []
        """Seconds of the first and the second step since training started."""
        self._start = time.perf_counter()

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Start the clock, where a resumed run has left it."""
        self._start = time.perf_counter() - self.elapsed_s
        self._first_steps_s = []
        if self.elapsed_s == 0:
            self.untimed_steps = trainer.global_step
        else:
            self._set_end(trainer)

    def after_step(self, trainer: pl.Trainer, pl_module: Any, outputs: Any) -> None:
        """Look at the clock when due; at first after each step, of which the first are slow."""
        timed_steps = trainer.global_step - self.untimed_steps
        is_early = timed_steps <= self.every or len(self._first_steps_s) < 2
        if is_early or is_due(trainer, self.every):
            before_s, elapsed_s = self.elapsed_s, time.perf_counter() - self._start
            self.elapsed_s = trainer.strategy.broadcast(elapsed_s)
            if len(self._first_steps_s) < 2:
                self._first_steps_s.append(self.elapsed_s - before_s)
                if len(self._first_steps_s) == 2:
                    first_s, second_s = self._first_steps_s
                    self.slow_s += max(0.0, first_s - second_s)
            self._set_end(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Seconds used up, for the checkpoint."""
        elapsed_s = time.perf_counter() - self._start
        untimed = {"untimed_steps": self.untimed_steps, "slow_s": self.slow_s}
        return {"elapsed_s": elapsed_s, **untimed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them back."""
        self.elapsed_s = state_dict["elapsed_s"]
        self.untimed_steps = state_dict.get("untimed_steps", 0)
        self.slow_s = state_dict.get("slow_s", 0.0)

    def _set_end(self, trainer: pl.Trainer) -> None:
        step = trainer.global_step
        steps_a_second = (step - self.untimed_steps) / (self.elapsed_s - self.slow_s)
        steps_left = steps_a_second * (self.limit_s - self.elapsed_s)
        trainer.fit_loop.epoch_loop.max_steps = step + max(0, round(steps_left))


def hide_lightning_noise() -> None:
    """Keep its warnings of real trouble; hide advertisements, notices and wrong advice.

    For the whole process and for good, so for entry points only.
    """
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Of Lightning's own code, not of ours.
    warnings.filterwarnings("ignore", message=r".*LeafSpec.* is deprecated", category=FutureWarning)
    # Its successor, of torch 2.14, would copy the mixup memory of the first process to the others.
    warnings.filterwarnings("ignore", message=r".*broadcast_buffers.* is deprecated")
    # Clips made on the device need no workers, and few are enough for a packed store.
    warnings.filterwarnings("ignore", message=r".*does not have many workers")
