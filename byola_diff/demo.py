"""From nothing to a trained, exported and probed encoder, on procedural sounds.

    byola-diff demo --out runs/demo

Renders a labelled corpus, pretrains without and with the difference term from one seed, exports
both, probes them and an untrained encoder, and writes a report. Run again after a stop, it goes on
where it was. Needs a checkout of the repository, for `train.py` and `datasets/`.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from subprocess import CalledProcessError, run
from typing import Annotated

from byola_diff.atomic import write_text
from byola_diff.command_line import exit_status, read_options
from byola_diff.demo_report import METRICS, demo_report
from byola_diff.embeddings.extract import ExtractionOptions, embed_clips
from byola_diff.encoders.byola import untrained_like
from byola_diff.encoders.content_hash import content_hash
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.additivity.measures import additivity, embed_over_snr
from byola_diff.evaluation.additivity.quadruples import EventSounds, Sources, event_sounds
from byola_diff.models.bundle import load_encoder
from byola_diff.models.encoder import AudioEncoder
from byola_diff.option_fields import Count
from byola_diff.optional import require
from byola_diff.probing.logistic import probe_manifest
from byola_diff.scores import read_records, score_record, write_record
from byola_diff.scores.write import Values
from byola_diff.stopping import ending_with_this
from byola_diff.storage import BrokenFileError
from byola_diff.tables.manifest import read_manifest
from byola_diff.training.monitors import read_metrics

WEIGHTS = ("0", "0.5")

_ROOT = Path(__file__).parents[1]
_N_CLIPS = 1200
_CLIP_S = 1.0
_N_EVENTS = 200
_SNR_DB = 0.0
_USER_ERRORS = (CalledProcessError, BrokenFileError, ModuleNotFoundError, OSError)


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """Where to, and what may differ from the demo of the README."""

    out: Annotated[Path, "DIR"] = Path("runs/demo")
    """Folder of all that is written."""
    seed: Annotated[int, "N"] = 0
    """Seed of all draws."""
    steps: Count | None = None
    """Optimiser steps, if not those of the configuration."""
    config: Annotated[Path, "YAML"] = _ROOT / "configs/pretrain/demo.yaml"
    """Configuration of the pretraining."""


def main(arguments: Sequence[str] | None = None, prog: str = "python -m byola_diff.demo") -> int:
    """Exit status: 0 for a report, 2 for wrong options or a stage that failed."""
    options = read_options(DemoOptions, arguments, prog=prog, description=__doc__)
    return exit_status(prog, lambda: print(f"report: {run_demo(**vars(options))}"), _USER_ERRORS)


def run_demo(out: Path, seed: int, steps: int | None, config: Path) -> Path:
    """All stages that are not done yet; returns the report.

    Raises:
        FileExistsError: If `out` holds a demo with other settings.
        FileNotFoundError: If the scripts of the repository are not there.
        ModuleNotFoundError: If a package is missing that a later stage needs.
        CalledProcessError: If a stage fails; its own messages are above.
    """
    for needed in (_ROOT / "train.py", _ROOT / "datasets/make_sounds.py", config):
        if not needed.is_file():
            raise FileNotFoundError(f"{needed} is missing: run the demo in a checkout")
    for name in ("matplotlib", "sklearn", "jinja2", "tensorboard"):
        require(name, "evaluate,log", "the demo")
    settings = {"seed": seed, "steps": steps, "config": config.read_text(encoding="utf-8")}
    noted = out / "settings.json"  # so that a later call does not mix results of two
    if not noted.is_file():
        write_text(noted, json.dumps(settings, indent=2) + "\n")
    elif json.loads(noted.read_text()) != settings:
        raise FileExistsError(f"{out} holds a demo with other settings: choose another --out")
    demo = Demo(out, seed)
    corpus = demo.make_corpus()
    for weight in WEIGHTS:
        demo.pretrain(weight, steps, config)
    return demo.report(corpus, demo.score(corpus))


@dataclass
class Demo:
    """A demo in a folder: its stages, each of which passes over what was done before."""

    out: Path
    seed: int
    times: dict[str, float] = field(default_factory=dict)
    """Seconds that each stage took."""

    def make_corpus(self) -> Path:
        """Manifest of the labelled corpus."""
        folder = self.out / "corpus"
        manifest = folder / "manifest.csv"
        with self._stage("corpus", done=manifest.is_file()) as to_do:
            if to_do:
                # Labelled clips come from other seeds than the stream of training clips.
                _run(
                    _ROOT / "datasets/make_sounds.py",
                    folder,
                    *("--clips", _N_CLIPS, "--duration-s", _CLIP_S, "--seed", self.seed + 1000),
                    *("--test-share", 0.4, "--valid-share", 0.1),
                )
        return manifest

    def pretrain(self, weight: str, steps: int | None, config: Path) -> None:
        """Run folder with a bundle in it: written last, so the rest is done if it is there."""
        folder = self.out / f"weight_{weight}"
        with self._stage(f"pretrain, weight {weight}", done=self._bundle(weight).is_dir()) as to_do:
            if not to_do:
                return
            # With "auto", a run that was stopped goes on, and one that was complete ends at once.
            options = ["--resume", "auto", "--seed", self.seed]
            options += ["--objective.difference_weight", weight]
            if steps is not None:
                options += ["--training.steps", steps]
            _run(_ROOT / "train.py", "--config", config, "--out_dir", folder, *options)
            checkpoint = folder / "checkpoints/last.ckpt"
            _run(
                *("-m", "byola_diff.export", checkpoint, self._bundle(weight)),
                *("--data", "procedural sounds"),
            )

    def score(self, corpus: Path) -> dict[str, dict[str, float]]:
        """Figures of each encoder by name; those found in records are not computed again."""
        trained = {weight: load_encoder(self._bundle(weight)) for weight in WEIGHTS}
        encoders = {"untrained": untrained_like(trained[WEIGHTS[0]], self.seed)}
        encoders |= {f"weight {weight}": encoder for weight, encoder in trained.items()}
        manifest = read_manifest(corpus)

        @cache
        def sounds(sample_rate: int) -> EventSounds:
            how = (_N_EVENTS, (_SNR_DB,), _CLIP_S)
            return event_sounds(Sources(), *how, self.seed, sample_rate)

        def linear(encoder: AudioEncoder) -> Mapping[str, Values]:
            embeddings = embed_clips(encoder, manifest, options=ExtractionOptions(progress=False))
            return {"accuracy": {"test": probe_manifest(embeddings.numpy(), manifest)["test"]}}

        def additive(encoder: AudioEncoder) -> Mapping[str, Values]:
            rendered = sounds(encoder.sample_rate)
            [(_, embedded)] = embed_over_snr(encoder.scene, rendered, (_SNR_DB,))
            figures = additivity(*embedded)
            return {metric: {f"seed {self.seed}": value} for metric, value in figures.items()}

        scores: dict[str, dict[str, float]] = {}
        for name, encoder in encoders.items():
            figures = self._recorded("linear", name, encoder, linear)
            figures |= self._recorded("additivity", name, encoder, additive)
            scores[name] = {metric: figures[metric] for metric in METRICS}
        return scores

    def report(self, corpus: Path, scores: dict[str, dict[str, float]]) -> Path:
        """Write the page and `scores.json`."""
        page = self.out / "report.html"
        with self._stage("report"):
            last = self._bundle(WEIGHTS[-1])
            training = json.loads((last / "config.json").read_text())["training"]
            metrics = {
                f"weight {weight}": _read_metrics(self.out / f"weight_{weight}")
                for weight in WEIGHTS
            }
            settings = {
                "seed": self.seed,
                "clips": len(read_manifest(corpus).in_split("test")),
                "events": _N_EVENTS,
                "steps": int(metrics[f"weight {WEIGHTS[0]}"]["step"][-1] or 0),
            }
            write_text(page, demo_report(scores, metrics, settings, load_encoder(last), training))
        facts = {"settings": settings, "encoders": scores, "wall_s": self.times}
        write_text(self.out / "scores.json", json.dumps(facts, indent=2) + "\n")
        return page.resolve()

    def _recorded(
        self,
        protocol: str,
        name: str,
        encoder: AudioEncoder,
        measure: Callable[[AudioEncoder], Mapping[str, Values]],
    ) -> dict[str, float]:
        """Figures from the record of the same protocol and weights, or measured and recorded."""
        folder = self.out / "scores"
        named = NamedEncoder(name, encoder, content_hash(encoder))
        for record in read_records(folder).scored if folder.exists() else ():
            if (record.protocol, record.encoder.sha256) == (protocol, named.content_hash):
                break
        else:
            start = time.monotonic()
            with self._stage(f"{protocol}, {name}"):
                values = measure(encoder)
            record = score_record(protocol, "demo", named, values, {}, time.monotonic() - start)
            write_record(folder, record)
        return {metric: score.mean for metric, score in record.scores.items()}

    def _bundle(self, weight: str) -> Path:
        return self.out / f"weight_{weight}" / "bundle"

    @contextmanager
    def _stage(self, name: str, done: bool = False) -> Iterator[bool]:
        """Time a stage and say so; gives whether there is anything to do."""
        if done:
            print(f"[demo] {name}: done before", flush=True)
            yield False
            return
        start = time.monotonic()
        yield True
        self.times[name] = round(time.monotonic() - start, 1)
        print(f"[demo] {name}: {self.times[name]:.1f} s", flush=True)


def _read_metrics(run: Path) -> dict[str, list[float | None]]:
    """Columns of the run's log; None where a cell is empty. `ValueError` if no row is whole."""
    header, rows = read_metrics(run / "metrics.csv")
    if not rows:
        raise ValueError(f"{run / 'metrics.csv'} has no whole row")
    columns = zip(header, zip(*rows, strict=True), strict=True)
    return {name: [float(cell) if cell else None for cell in cells] for name, cells in columns}


def _run(*command: object) -> None:
    """Run a script or module of the repository with this Python."""
    with ending_with_this():
        run([sys.executable, *map(str, command)], check=True)


if __name__ == "__main__":
    sys.exit(main())
