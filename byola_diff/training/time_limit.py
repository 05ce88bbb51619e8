"""A run bounded by minutes instead of steps."""

import time
from typing import Any

import pytorch_lightning as pl

from byola_diff.training.monitors import ends_step

UNBOUNDED_STEPS = 2**40
"""Length of a run whose end is not known yet."""


class TimeLimit(pl.Callback):
    """Ends training after a number of minutes, and the schedule with it.

    With each row of the log, the trainer's number of steps becomes what the run would reach in its
    time at the speed it had so far. All that follows that number (learning rate, last row of the
    log, last checkpoint) thus follows the clock. Must come first among the callbacks.

    All processes take the clock of the first. Time spent before an interruption counts.
    """

    def __init__(self, minutes: float, every: int) -> None:
        """Keep the settings.

        Args:
            minutes: For all steps, the time to save checkpoints included.
            every: Optimiser steps between two looks at the clock.
        """
        self.limit_s, self.every = 60 * minutes, every
        self.elapsed_s = 0.0
        """Seconds of training at the last look at the clock."""
        self._start = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Start the clock, where a resumed run has left it."""
        self._start = time.perf_counter() - self.elapsed_s
        if trainer.global_step > 0:
            self._set_end(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the clock when due; at first after each step, of which the first are slow."""
        step = trainer.global_step
        due = step <= self.every or step % self.every == 0 or step == trainer.max_steps
        if due and ends_step(trainer, batch_idx):
            elapsed_s = time.perf_counter() - self._start
            self.elapsed_s = trainer.strategy.broadcast(elapsed_s)
            self._set_end(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Seconds used up, for the checkpoint."""
        return {"elapsed_s": self.elapsed_s}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them back."""
        self.elapsed_s = state_dict["elapsed_s"]

    def _set_end(self, trainer: pl.Trainer) -> None:
        step = trainer.global_step
        steps_left = step / self.elapsed_s * (self.limit_s - self.elapsed_s)
        trainer.fit_loop.epoch_loop.max_steps = step + max(0, round(steps_left))
