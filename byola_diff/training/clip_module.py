"""The LightningDataModule: waveform batches by step, from a loader or made on the device."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_all_start_methods
from typing import Any

import torch
from jaxtyping import Int
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from byola_diff.clips.loaders import count_loaders
from byola_diff.clips.open import open_source
from byola_diff.clips.order import batch_indices, steps_per_epoch
from byola_diff.clips.source import ClipSource, TooManyRejectedError, UnreadableSourceError
from byola_diff.clips.stored import WHOLE, Part
from byola_diff.config import PretrainConfig
from byola_diff.randomness import derive_seed
from byola_diff.store.description import PackedStoreError
from byola_diff.workers import serve_parent


class ClipModule(LightningDataModule):
    """Feeds a whole run as one pass over its steps, so that any step can be the first.

    A step here is a batch of one process: with gradient accumulation there are several to an
    optimiser step.
    """

    def __init__(self, config: PretrainConfig, n_steps: int) -> None:
        """Keep the plan; `n_steps` are the batches of the whole run on this process."""
        super().__init__()
        self.config, self.n_steps = config, n_steps

    def setup(self, stage: str) -> None:
        """Open the source; in each process, as it may hold memory of its device."""
        assert self.trainer is not None
        self._device = self.trainer.strategy.root_device
        part = Part(self.trainer.global_rank, self.trainer.world_size)
        is_split = self.config.data.resident_split
        self.source = open_source(self.config, self._device, part=part if is_split else WHOLE)

    def train_dataloader(self) -> DataLoader:
        """Batches from the step that the trainer has reached: a resumed run repeats none."""
        trainer = self.trainer
        assert trainer is not None
        start = trainer.global_step * trainer.accumulate_grad_batches
        data, on_device = self.config.data, self.source.on_device
        num_workers = 0 if on_device else count_loaders(self.config)
        # Forks of a process that has threads would hang. A fork server imports torch once for all
        # workers; not every system has one.
        method = "forkserver" if "forkserver" in get_all_start_methods() else "spawn"
        # While CUDA graphs are recorded, no other thread may ask for pinned memory.
        may_pin = self._device.type == "cuda" and not self.config.training.cuda_graphs
        place = (trainer.global_rank, trainer.world_size, self._device if on_device else "cpu")
        batches = StepBatches(self.source, self.config.seed, data.batch_size, *place)
        self._loader = RunLoader(
            batches,
            self._device,
            batch_size=None,
            sampler=range(start, self.n_steps),
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            worker_init_fn=serve_parent,
            pin_memory=may_pin and not on_device,
            multiprocessing_context=method if num_workers else None,
        )
        return self._loader

    @property
    def waited_s(self) -> float:
        """Seconds that training has spent without a batch so far."""
        return self._loader.waiting.seconds


class RunLoader(DataLoader):
    """A loader over a range of steps that counts the seconds it is waited for, by `waiting`.

    It needs no state to be resumed.
    """

    def __init__(self, batches: "StepBatches", trains_on: torch.device, **options: Any) -> None:
        """Take the options of a loader, and the device that waits."""
        super().__init__(batches, **options)
        self.waiting = WaitClock(trains_on)

    def __len__(self) -> int:
        """Steps of the whole run, those before the range too: so Lightning counts them."""
        return self.sampler.stop  # pyright: ignore

    def __iter__(self) -> Iterator[dict[str, Any]]:  # pyright: ignore
        """The batches that the sampler names."""
        batches = super().__iter__()
        while True:
            with self.waiting():
                try:
                    batch = next(batches, None)
                except RuntimeError as error:
                    if "exited unexpectedly" not in str(error):
                        raise
                    # As by Ctrl-C while they start, before they leave it to this process.
                    batch = {"error": ChildProcessError(str(error))}
            if batch is None:
                return
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the trainer's step says it all. Lightning warns of a loader without this."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to load."""


class WaitClock:
    """Adds up the seconds in which training has nothing to do while its batch is made.

    A GPU lags behind the host: while it has work left from the step before, nothing waits.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._seconds = 0.0
        self._on_device: deque[tuple[torch.cuda.Event, torch.cuda.Event]] = deque()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Time a `with` block, without waiting for the device."""
        if self.device.type != "cuda":
            start = time.perf_counter()
            yield
            self._seconds += time.perf_counter() - start
            return
        stream = torch.cuda.current_stream(self.device)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record(stream)
        yield
        end.record(stream)
        self._on_device.append((begin, end))

    @property
    def seconds(self) -> float:
        """Those so far; on a GPU, of the blocks that it has come past."""
        while self._on_device and self._on_device[0][1].query():
            begin, end = self._on_device.popleft()
            self._seconds += begin.elapsed_time(end) / 1000
        return self._seconds


@dataclass
class StepBatches(Dataset):
    """The batch of each step on this process: `step`, `epoch`, `waveform`, `rejected` files.

    In place of the waveform, `error` says why there is none.
    """

    source: ClipSource
    seed: int
    batch_size: int
    rank: int
    world_size: int
    device: torch.device | str = "cpu"

    def __getitem__(self, step: int) -> dict[str, Any]:
        """The batch of a step, on the device; perhaps as 16-bit samples.

        There is a `second_waveform` where the second view is of another sound.
        """
        # The numbers of clips stay on the host: a source looks at them before it uses the device,
        # which would otherwise be waited for.
        epoch, clips = self.clips_of(step)
        batch: dict[str, Any] = {"step": step, "epoch": epoch}
        try:
            batch["waveform"] = self.source.stored_batch(epoch, clips, self.device)
            second = self.source.second_batch(epoch, clips, self.device)
            if second is not None:
                batch["second_waveform"] = second
        except (TooManyRejectedError, UnreadableSourceError, PackedStoreError, OSError) as error:
            batch["error"] = error  # raised by `StopTogether`, on all processes
        return batch | {"rejected": self.source.take_rejected()}

    def clips_of(self, step: int) -> tuple[int, Int[Tensor, " batch"]]:
        """Epoch and clips of a step: shuffled passes, or the next of an endless stream.

        Where the processes have parts of the clips, each passes through its own.
        """
        if self.source.endless:
            start = (step * self.world_size + self.rank) * self.batch_size
            return 0, torch.arange(start, start + self.batch_size)
        per_epoch = steps_per_epoch(self.source.n_clips, self.batch_size, self.world_size)
        epoch, step_in_epoch = divmod(step, per_epoch)
        n_clips, n_parts = self.source.n_clips, self.source.n_parts
        if n_parts > 1:
            seed = derive_seed(self.seed, "part", self.rank)
            n_own = len(range(self.rank, n_clips, n_parts))
            places = batch_indices(seed, epoch, step_in_epoch, 0, 1, self.batch_size, n_own)
            return epoch, places * n_parts + self.rank
        place = (step_in_epoch, self.rank, self.world_size)
        return epoch, batch_indices(self.seed, epoch, *place, self.batch_size, n_clips)
