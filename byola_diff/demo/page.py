"""The page of a demo, from its records and the log of its pretraining."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from byola_diff.atomic import write_text
from byola_diff.demo import measures
from byola_diff.demo.expectations import Scores
from byola_diff.demo.heard import found_table, heard_events, shown_events
from byola_diff.demo.options import DemoOptions
from byola_diff.demo.pictures import pictures, progress
from byola_diff.demo.pretraining import log_of, training_of
from byola_diff.demo.report import Sizes, demo_report
from byola_diff.demo.sounds import HeldOut
from byola_diff.models.bundle import load_encoder
from byola_diff.reports.report import Part, Text
from byola_diff.scores import ScoreRecord

_N_SHOWN = 6

Records = Mapping[str, Mapping[str, ScoreRecord]]
"""By encoder and protocol."""


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
        events=held_out.n_events,
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
