"""The picture of the movements that an additivity run leaves for the report."""

import sys
from pathlib import Path

from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.additivity.projection import Projection, labels_to_show
from byola_diff.evaluation.additivity.projection_figure import projection_figure
from byola_diff.reports.exhibits import Exhibit, write_exhibit
from byola_diff.reports.report import Picture


def write_projection(
    folder: Path,
    named: NamedEncoder,
    task: str,
    projection: Projection,
    seed: int,
    snr_db: float,
) -> None:
    """Write the exhibit; without Matplotlib, say so and go on: the scores are none the worse."""
    shown = labels_to_show(projection.labels)
    try:
        png = projection_figure(
            projection.first, projection.second, projection.labels, shown, projection.shares
        )
    except ModuleNotFoundError as error:
        print(f"evaluate.py: no picture of {named.name}: {error}", file=sys.stderr)
        return
    caption = (
        f"{named.name} on {task}, seed {seed}: where an event moves the embedding at {snr_db:g} "
        f"dB, of length 1, less the mean over all {len(projection.labels)} events, in the two "
        "directions of most variance. Circle: over the first background; cross: over the second; "
        "a line joins the same event, and is short if the encoder is additive."
    )
    if n_left := len(set(projection.labels)) - len(shown):
        caption += f" {n_left} more labels are left out."
    name = f"additivity-{task}-{named.name}-{named.content_hash[:8]}"
    title = f"Differences of {named.name}, {task}"
    write_exhibit(folder, name, Exhibit("Additivity", title, (Picture(png, caption),)))
