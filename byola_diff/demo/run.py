"""What the encoders that come with the package do, and a minute of pretraining to watch.

    byola-diff demo --out runs/demo

Compares the shipped encoders with a twin without the difference loss and with baselines: on naming,
additivity and Background-known, with sounds that none was trained with. Then the small one is
pretrained for about a minute more and measured again. All is on a page with players. Run again
after a stop, it goes on where it was. Needs a checkout of the repository, for `train.py` and
`datasets/`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from subprocess import CalledProcessError
from typing import Annotated, Any

from byola_diff.atomic import write_text
from byola_diff.command_line import exit_status, read_options
from byola_diff.demo import measures, sounds
from byola_diff.demo.encoders import check_shipped, open_compared, open_continued
from byola_diff.demo.expectations import Scores
from byola_diff.demo.heard import found_table, heard_events, shown_events
from byola_diff.demo.pictures import pictures, progress
from byola_diff.demo.pretraining import CONFIG, continue_pretraining, log_of, training_of
from byola_diff.demo.report import Sizes, demo_report
from byola_diff.demo.sounds import HeldOut
from byola_diff.demo.stages import REPOSITORY, Stages
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.additivity.quadruples import EventSounds
from byola_diff.models.bundle import load_encoder
from byola_diff.option_fields import Count
from byola_diff.optional import require
from byola_diff.reports.report import Part, Text
from byola_diff.scores import ScoreRecord
from byola_diff.storage import BrokenFileError, sha256
from byola_diff.tables.manifest import read_manifest

_N_SHOWN = 6
_USER_ERRORS = (CalledProcessError, BrokenFileError, ModuleNotFoundError, OSError, ValueError)

Records = dict[str, dict[str, ScoreRecord]]
"""By encoder and protocol."""


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """Where to, and what may differ from the demo of the README."""

    out: Annotated[Path, "DIR"] = Path("runs/demo")
    """Folder of all that is written."""
    seed: Annotated[int, "N"] = 0
    """Seed of all draws."""
    events: Annotated[Path, "MANIFEST"] | None = None
    """A manifest.csv of recordings (file, label, fold 1 to 5) in place of procedural events."""
    backgrounds: Annotated[Path, "DIR"] | None = None
    """Recordings of at least 10 s in place of procedural backgrounds."""
    audio: Annotated[Path, "DIR"] | None = None
    """Recordings to pretrain on in place of procedural sounds."""
    steps: Count | None = None
    """Optimiser steps, if not those of the configuration."""
    config: Annotated[Path, "YAML"] = CONFIG
    """Configuration of the pretraining."""


def main(arguments: Sequence[str] | None = None, prog: str = "python -m byola_diff.demo") -> int:
    """Exit status: 0 for a report, 2 for wrong options or a stage that failed."""
    options = read_options(DemoOptions, arguments, prog=prog, description=__doc__)
    return exit_status(prog, lambda: print(f"report: {run_demo(options)}"), _USER_ERRORS)


def run_demo(options: DemoOptions) -> Path:
    """All stages that are not done yet; returns the report.

    Raises:
        FileExistsError: If the folder holds a demo with other settings.
        FileNotFoundError: If scripts of the repository, shipped encoders or recordings are missing.
        ModuleNotFoundError: If a package is missing that a later stage needs.
        CalledProcessError: If a stage fails; its own messages are above.
        ValueError: If recordings can't be used.
    """
    check_needs(options)
    begin(options)
    stages = Stages(options.out)
    held_out = HeldOut(options.out, options.seed, options.events, options.backgrounds)
    for draw in held_out.draws:
        with stages.stage(f"sounds, {draw}", done=held_out.is_made(draw)) as to_do:
            if to_do:
                held_out.make(draw)
    records = measure(stages, held_out, open_compared(options.seed))
    about = (options.config, options.seed, options.steps, options.audio)
    run = continue_pretraining(stages, *about)
    records |= measure(stages, held_out, [open_continued(str(run / "bundle"))])
    with stages.stage("report"):
        page, facts = write_page(options, held_out, records, run)
    facts["wall_s"] = stages.times
    write_text(options.out / "scores.json", json.dumps(facts, indent=2) + "\n")
    return page


def check_needs(options: DemoOptions) -> None:
    """Raise what `run_demo` would for want of something, before anything is done."""
    scripts = (REPOSITORY / "train.py", REPOSITORY / "datasets/make_bgknown_esc50.py")
    for needed in (*scripts, options.config):
        if not needed.is_file():
            raise FileNotFoundError(f"{needed} is missing: run the demo in a checkout")
    check_shipped()
    for name in ("matplotlib", "sklearn", "jinja2", "tensorboard"):
        require(name, "evaluate,log", "the demo")
    require("pyloudnorm", "generate", "the demo")
    if options.events is not None:
        if options.events.name != "manifest.csv":
            raise ValueError(f"--events {options.events}: the file must be named manifest.csv")
        read_manifest(options.events)
    for name in ("backgrounds", "audio"):
        if (folder := getattr(options, name)) is not None and not folder.is_dir():
            raise FileNotFoundError(f"--{name} {folder}: there is no such folder")


def begin(options: DemoOptions) -> None:
    """Note the settings in the folder, so that a later call does not mix results of two."""
    given = {
        name: value for name, value in asdict(options).items() if name not in ("out", "config")
    }
    settings: dict[str, Any] = {
        name: str(value.resolve()) if isinstance(value, Path) else value
        for name, value in given.items()
    }
    settings["config"] = options.config.read_text(encoding="utf-8")
    settings["manifest_sha256"] = None if options.events is None else sha256(options.events)
    settings["sizes"] = [sounds.N_DRAWS, sounds.N_EVENTS, sounds.N_ITEMS, sounds.PER_LABEL]
    noted = options.out / "settings.json"
    if not noted.is_file():
        write_text(noted, json.dumps(settings, indent=2) + "\n")
    elif json.loads(noted.read_text(encoding="utf-8")) != settings:
        raise FileExistsError(
            f"{options.out} holds a demo with other settings: choose another --out"
        )


def measure(stages: Stages, held_out: HeldOut, encoders: Iterable[NamedEncoder]) -> Records:
    """All records of the encoders; those that are there are not measured again."""
    labelled = cache(held_out.labelled)
    bgknown = cache(held_out.bgknown)

    @cache
    def quadruples(sample_rate: int) -> dict[str, EventSounds]:
        return {draw: held_out.quadruples(draw, sample_rate) for draw in held_out.draws}

    protocols = {
        measures.NAMING: lambda encoder: measures.naming(encoder, labelled()),
        measures.ADDITIVITY: lambda encoder: measures.additive(
            encoder, quadruples(encoder.sample_rate)
        ),
        measures.BACKGROUND_KNOWN: lambda encoder: measures.background_known(encoder, bgknown()),
    }
    return {
        named.name: {
            protocol: stages.recorded(protocol, named, function)
            for protocol, function in protocols.items()
        }
        for named in encoders
    }


def scores_of(records: Records) -> Scores:
    """By encoder, the metrics that the page shows."""
    return {
        name: {
            metric: by_protocol[protocol].scores[metric]
            for protocol, metrics in measures.METRICS.items()
            for metric in metrics
        }
        for name, by_protocol in records.items()
    }


def write_page(
    options: DemoOptions, held_out: HeldOut, records: Records, run: Path
) -> tuple[Path, dict[str, Any]]:
    """The page, which is written, and what scores.json is to say of it."""
    encoder, log = load_encoder(run / "bundle"), log_of(run)
    labelled, sets = held_out.labelled().values(), held_out.bgknown().values()
    sizes = Sizes(
        draws=len(held_out.draws),
        clips=sum(len(manifest.clips) for manifest in labelled),
        labels=len(next(iter(labelled)).classes),
        events=sounds.N_EVENTS,
        items=sum(len(each.mixtures.clips) for each in sets),
        steps=int(log["step"][-1] or 0),
        seed=options.seed,
    )
    scores = scores_of(records)
    drawn = pictures(encoder, training_of(run), options.seed)
    heard = heard_parts(held_out, records, encoder.sample_rate)
    words = sources(options)
    page = options.out / "report.html"
    write_text(page, demo_report(scores, sizes, heard, progress(log), drawn, words))
    encoders = {
        name: {metric: {"mean": one.mean, "ci95": one.ci95} for metric, one in row.items()}
        for name, row in scores.items()
    }
    return page.resolve(), {"settings": asdict(sizes), "sources": words, "encoders": encoders}


def heard_parts(held_out: HeldOut, records: Records, sample_rate: int) -> list[Part]:
    """A table and players of a few events of the first draw."""
    heard = held_out.quadruples(next(iter(held_out.draws)), sample_rate)
    found = {name: of[measures.ADDITIVITY].probe["found"] for name, of in records.items()}
    shown = shown_events(len(heard.labels), _N_SHOWN)
    words = (
        "An event is added to a background at 0 dB. How the embedding moves by it is compared with "
        f"how those of all {len(heard.labels)} events move over other backgrounds; the most alike "
        "is what the difference finds. The events are taken at equal distances from the first "
        "draw, whatever was found."
    )
    players = heard_events(found, heard, shown, sample_rate)
    return [Text(words), found_table(found, heard.labels, shown), *players]


def sources(options: DemoOptions) -> dict[str, str]:
    """Which sounds were taken for what, in words."""
    given = {
        "events": options.events and options.events.parent,
        "backgrounds": options.backgrounds,
        "training": options.audio,
    }
    return {
        name: f"recordings in {folder.resolve().name}" if folder else "procedural sounds"
        for name, folder in given.items()
    }
