"""What the encoders that come with the package do, and a minute of pretraining to watch.

    byola-diff demo --out runs/demo

Compares the shipped encoders with baselines: on naming, additivity and Background-known, with
sounds that none was trained with. Then one of them is pretrained for about a minute more and
measured again. All is on a page with players. Run again after a stop, it goes on where it was.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from byola_diff.atomic import write_text
from byola_diff.command_line import exit_status, read_options
from byola_diff.demo import measures
from byola_diff.demo.encoders import open_compared, open_continued
from byola_diff.demo.options import DemoOptions, begin, check_needs
from byola_diff.demo.page import Records, write_page
from byola_diff.demo.pretraining import continue_pretraining
from byola_diff.demo.sounds import HeldOut
from byola_diff.demo.stages import CommandError, Stages
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.additivity.quadruples import EventSounds
from byola_diff.storage import BrokenFileError

_USER_ERRORS = (CommandError, BrokenFileError, ModuleNotFoundError, OSError, ValueError)


def main(arguments: Sequence[str] | None = None, prog: str = "python -m byola_diff.demo") -> int:
    """Exit status: 0 for a report, 2 for wrong options or a stage that failed."""
    options = read_options(DemoOptions, arguments, prog=prog, description=__doc__)
    return exit_status(prog, lambda: print(f"report: {run_demo(options)}"), _USER_ERRORS)


def run_demo(options: DemoOptions) -> Path:
    """All stages that are not done yet; returns the report.

    Raises:
        FileExistsError: If the folder holds a demo with other settings.
        FileNotFoundError: If the configuration, shipped encoders or recordings are missing.
        ModuleNotFoundError: If a package is missing that a later stage needs.
        CommandError: If a stage fails; its own messages are above.
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
    records = dict(measure(stages, held_out, open_compared(options.seed)))
    about = (options.config, options.seed, options.steps, options.audio)
    run = continue_pretraining(stages, *about)
    records |= measure(stages, held_out, [open_continued(str(run / "bundle"))])
    with stages.stage("report"):
        page, facts = write_page(options, held_out, records, run)
    facts["wall_s"] = stages.times
    write_text(options.out / "scores.json", json.dumps(facts, indent=2) + "\n")
    return page


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
