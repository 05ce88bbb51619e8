"""The page of the demo: what the encoders do, what was expected, and how the pretraining went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from byola_diff.demo.encoders import COMPARED, CONTINUED, LARGE, MEAN_POWER, START
from byola_diff.demo.expectations import (
    AS_EXPECTED,
    OTHERWISE,
    Scores,
    expectations,
    judged,
    outcome,
    paired_difference,
    summary,
)
from byola_diff.demo.measures import ADDITIVITY, BACKGROUND_KNOWN, METRICS, NAMING
from byola_diff.reports.report import Part, Picture, Section, Table, Text, best_cells, render_html
from byola_diff.scores import Interval

TITLE = "byola_diff: the demo"
_TITLES = {
    "accuracy": "naming (%)",
    "cosine": "cosine",
    "recall@1": "recall@1 (%)",
    "recall@5": "recall@5 (%)",
    "mix": "Mix (%)",
    "a": "(a) (%)",
    "b": "(b) (%)",
    "c": "(c) (%)",
}
_SHARES = frozenset(_TITLES) - {"cosine"}
_CHANGES = {AS_EXPECTED: "higher", OTHERWISE: "lower"}


@dataclass(frozen=True)
class Sizes:
    """How much was measured."""

    draws: int
    clips: int
    """Labelled clips, in all draws."""
    labels: int
    events: int
    """Quadruples of a draw."""
    items: int
    """Background-known items, in all draws."""
    steps: int
    """Steps of the continued pretraining."""
    seed: int


def demo_report(
    scores: Scores,
    sizes: Sizes,
    heard: Sequence[Part],
    progress: Picture,
    pictures: Sequence[Picture],
    sources: Mapping[str, str],
) -> str:
    """The page as HTML.

    `scores` are of `COMPARED` and `CONTINUED`; `heard` is what `heard.py` makes. `sources` says
    which sounds were taken for "events", "backgrounds" and "training".
    """
    compared = {name: row for name, row in scores.items() if name != CONTINUED}
    sections = [
        Section("What was expected, and what happened", _expected(compared)),
        Section("Scores", _scores(compared, sizes)),
        Section("Hear what was added, and what the difference finds", heard),
        Section("A minute more of pretraining", [*_before_and_after(scores), progress]),
        Section("What the encoder sees in training", pictures),
    ]
    lead = (
        f"{len(compared)} encoders are compared on sounds that none was trained with "
        f"(events: {sources['events']}; backgrounds: {sources['backgrounds']}): what "
        "comes with this package, and others that nothing was trained for. "
        f"Then {START} was pretrained for {sizes.steps} steps more, on {sources['training']}."
    )
    return render_html(TITLE, lead, sections, f"Seed {sizes.seed}.")


def number(metric: str, value: Interval, signed: bool = False) -> str:
    """A figure with its 95 % interval, in percent if it is a share."""
    scale, digits = (100, 1) if metric in _SHARES else (1, 3)
    sign = "+" if signed else ""
    text = f"{scale * value.mean:{sign}.{digits}f}"
    return text if value.half_width is None else f"{text} ± {scale * value.half_width:.{digits}f}"


def _expected(scores: Scores) -> list[Part]:
    found = judged(expectations(scores), scores)
    rows = [
        [
            one.expectation.words,
            one.outcome,
            number(one.expectation.higher[1], one.difference, signed=True),
        ]
        for one in found
    ]
    table = Table(
        ("expected", "outcome", "difference"),
        rows,
        note="Differences of the two figures that a line is about, in points of percent (cosines "
        "as they are), with 95 % intervals over the draws of sounds, which both encoders share. An "
        "interval with 0 in it can't tell. A line that is not as expected is a result, too.",
    )
    return [Text(summary(found)), table]


def _scores(scores: Scores, sizes: Sizes) -> list[Part]:
    encoders = Table(
        ("encoder", "what it is"),
        [[each.name, each.about] for each in COMPARED],
        text_columns=frozenset({1}),
    )
    first = _table(scores, (*METRICS[NAMING], *METRICS[ADDITIVITY]), "Naming and additivity")
    second = _table(scores, METRICS[BACKGROUND_KNOWN], "Background-known")
    return [encoders, first, *_about_first(scores, sizes), second, _about_second(sizes)]


def _table(scores: Scores, metrics: Sequence[str], title: str) -> Table:
    rows = [
        [name, *(number(metric, row[metric].interval) for metric in metrics)]
        for name, row in scores.items()
    ]
    columns = [[row[metric].mean for row in scores.values()] for metric in metrics]
    header = ("encoder", *(_TITLES[metric] for metric in metrics))
    note = "Larger is better throughout; the best of each column is bold; 95 % intervals."
    return Table(header, rows, best_cells(columns), note, title)


def _about_first(scores: Scores, sizes: Sizes) -> list[Part]:
    free, best = scores[MEAN_POWER], scores[LARGE]
    return [
        Text(
            "Naming: how many labelled clips a linear classifier on the frozen embeddings names "
            f"correctly, each by one that was fitted to others ({sizes.clips} clips, "
            f"{sizes.labels} labels, chance {1 / sizes.labels:.1%})."
        ),
        Text(
            "Additivity: the same event is added to two different backgrounds. The cosine tells "
            "whether both embeddings move in the same direction (1 is perfect, 0 is chance; what "
            "all events have in common is subtracted first). Recall tells how often the movement "
            "on one background finds that of the same event on the other, as the most alike or "
            f"among the five most alike, of {sizes.events} events (chance {1 / sizes.events:.1%} "
            f"and {min(5 / sizes.events, 1):.1%}); {sizes.draws} draws of sounds."
        ),
        Text(
            f"{MEAN_POWER} is there to be honest about additivity: powers of independent sounds "
            f"add up, so it is additive by construction (cosine {free['cosine'].mean:.3f}, "
            f"{LARGE} {best['cosine'].mean:.3f}) though nothing was learnt. It names "
            f"{free['accuracy'].mean:.1%} of the sounds, {LARGE} {best['accuracy'].mean:.1%}: "
            "additivity is worth something only beside naming."
        ),
    ]


def _about_second(sizes: Sizes) -> Text:
    return Text(
        "Background-known: an event in a background at 0 to 3 dB is named by its embedding (Mix), "
        "or by that less the embedding of a reference that overlaps its background by 100 % (a), "
        f"50 % (b) or 0 % (c); {sizes.items} items in {sizes.draws} draws, of the labelled sounds."
    )


def _before_and_after(scores: Scores) -> list[Part]:
    """The encoder that was trained on, before and after, and how many figures changed."""
    before, after = scores[START], scores[CONTINUED]
    rows, changes = [], []
    for metric, title in _TITLES.items():
        difference = paired_difference(after[metric], before[metric])
        changes.append(_CHANGES.get(outcome(difference), "can't be told"))
        cells = [number(metric, side[metric].interval) for side in (before, after)]
        rows.append([title, *cells, number(metric, difference, signed=True), changes[-1]])
    counts = ", ".join(f"{changes.count(word)} {word}" for word in dict.fromkeys(changes))
    words = (
        "So short a training is expected to change little, and may as well cost something: its "
        f"batches are small and its sounds are few. Of {len(rows)} figures after it, {counts}."
    )
    header = ("figure", "before", "after", "change", "what it says")
    return [Text(words), Table(header, rows, text_columns=frozenset({4}))]
