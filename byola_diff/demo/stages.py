"""Stages of the demo: each is timed and told, and passed over if it was done before."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import run
from typing import Any, NamedTuple

from byola_diff.encoders.contract import Encoder
from byola_diff.encoders.open import NamedEncoder
from byola_diff.scores import ScoreRecord, read_records, score_record, write_record
from byola_diff.scores.write import Values
from byola_diff.stopping import ending_with_this


class Measured(NamedTuple):
    """What a measurement gives."""

    scores: Mapping[str, Values]
    """By metric, a value for each draw."""
    chosen: Mapping[str, Any] = {}
    """What else is to be kept, as plain values."""


@dataclass
class Stages:
    """The folder of a demo, and how long what was done in it took."""

    out: Path
    times: dict[str, float] = field(default_factory=dict)
    """Seconds by stage, of those that were not done before."""

    @contextmanager
    def stage(self, name: str, done: bool = False) -> Iterator[bool]:
        """Time a stage and say so; gives whether there is anything to do."""
        if done:
            print(f"[demo] {name}: done before", flush=True)
            yield False
            return
        start = time.monotonic()
        yield True
        self.times[name] = round(time.monotonic() - start, 1)
        print(f"[demo] {name}: {self.times[name]:.1f} s", flush=True)

    def recorded(
        self, protocol: str, named: NamedEncoder, measure: Callable[[Encoder], Measured]
    ) -> ScoreRecord:
        """The record of the same protocol, name and weights, or of a measurement made now."""
        folder, of = self.out / "scores", (protocol, named.name, named.content_hash)
        for record in read_records(folder).scored if folder.exists() else ():
            if (record.protocol, record.encoder.name, record.encoder.sha256) == of:
                return record
        start = time.monotonic()
        with self.stage(f"{protocol}, {named.name}"):
            measured = measure(named.encoder)
        about = (measured.scores, {}, time.monotonic() - start)
        record = score_record(protocol, "demo", named, *about, probe=measured.chosen)
        write_record(folder, record)
        return record


class CommandError(Exception):
    """A command of this package failed; its own messages are above."""


def run_command(name: str, *words: object) -> None:
    """Run a command of `byola-diff` with this Python; a CommandError if it fails."""
    command = [sys.executable, "-m", "byola_diff", *name.split(), *map(str, words)]
    with ending_with_this():
        done = run(command, check=False)
    if done.returncode:
        raise CommandError(f"byola-diff {name} failed with status {done.returncode}: see above")
