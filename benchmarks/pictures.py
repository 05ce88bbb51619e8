"""Draws the pictures of docs/results.md from the figures that are kept beside this file.

    python benchmarks/pictures.py

Reads tried/*.csv, growth.json, and shipped/*.json, which are records of evaluate.py; writes
docs/figures/*.svg.
"""

import csv
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

HERE = Path(__file__).parent
OUT = HERE.parent / "docs" / "figures"
WEIGHTS = {"w0_s0": 0.0, "w.5_s0": 0.5, "w.8_s0": 0.8, "w1_s0": 1.0}
SHOWN = {"esc10": "ESC-10 (%)", "cosine": "cosine", "recall@1": "recall@1 (%)"}


def main() -> None:
    """Write all pictures; the same figures give the same bytes."""
    mpl.rcParams |= {"svg.hashsalt": "byola_diff", "font.size": 9, "axes.grid": True}
    mpl.rcParams |= {"grid.alpha": 0.3, "axes.spines.top": False, "axes.spines.right": False}
    OUT.mkdir(exist_ok=True)
    _save(weights(), "weights")
    _save(seeds(), "seeds")
    _save(recall_by_loudness(), "recall_by_loudness")
    _save(growth(), "growth")


def weights() -> Figure:
    """Each score over the weight of the difference loss."""
    rows = {row["arm"]: row for row in _table("large")}
    figure, panels = _panels()
    for axes, (column, label) in zip(panels, SHOWN.items(), strict=True):
        values = [float(rows[arm][column]) for arm in WEIGHTS]
        axes.plot(list(WEIGHTS.values()), values, marker="o")
        axes.set(xlabel="weight of the difference loss", ylabel=label)
    return figure


def seeds() -> Figure:
    """Each score without and with the difference loss, a line for each pretraining seed."""
    rows = {row["arm"]: row for row in _table("six_seeds")}
    figure, panels = _panels()
    for axes, (column, label) in zip(panels, SHOWN.items(), strict=True):
        for seed in range(6):
            pair = [float(rows[f"w{weight}_s{seed}"][column]) for weight in ("0", ".5")]
            axes.plot(["weight 0", "weight 0.5"], pair, marker="o", label=f"seed {seed}")
        axes.set(ylabel=label, xlim=(-0.3, 1.3))
    panels[0].legend(frameon=False)
    return figure


def recall_by_loudness() -> Figure:
    """Recall of events over the ratio of event to background; mean-power, at 99 %, is left out."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    records = [json.loads(path.read_text()) for path in sorted(HERE.glob("shipped/add*.json"))]
    curves = {record["encoder"]["name"]: _means(record) for record in records}
    del curves["mean-power"]
    for name, means in sorted(curves.items(), key=lambda item: -max(item[1].values())):
        style = "o--" if name.startswith("untrained") else "o-"
        axes.plot(list(means), list(means.values()), style, label=name)
    axes.set_xticks(list(curves["byola-diff"]))
    axes.set(xlabel="event over background (dB)", ylabel="recall@1 (%)", ylim=(0, None))
    figure.legend(loc="outside right center", frameon=False)
    return figure


def growth() -> Figure:
    """Cost of packing over clips, of embedding over length, and speed of training by processes."""
    found = json.loads((HERE / "growth.json").read_text())
    figure, (packing, embedding, training) = _panels()
    for n_workers, seconds in found["packing_s"].items():
        _line(packing, seconds, f"{n_workers} worker{'s' * (n_workers != '1')}")
    packing.set(xlabel="clips of 5 s", ylabel="packing (s)", ylim=(0, None))
    packing.legend(frameon=False)
    _line(embedding, found["embedding_s"], "scene")
    embedding.set(xscale="log", yscale="log", xlabel="recording (s)", ylabel="embedding (s)")
    training.bar(*zip(*found["training_clips_per_s"].items(), strict=True))
    training.set(xlabel="processes", ylabel="training (clips/s)")
    return figure


def _line(axes: Axes, values: dict[str, float], label: str) -> None:
    axes.plot([float(x) for x in values], list(values.values()), marker="o", label=label)


def _means(record: dict[str, Any]) -> dict[float, float]:
    """Percent, by ratio in dB; means over draws of sounds."""
    by_ratio = record["curves"]["recall@1"]["values"]
    means = {float(ratio): sum(draws.values()) / len(draws) for ratio, draws in by_ratio.items()}
    return {ratio: 100 * means[ratio] for ratio in sorted(means)}


def _table(name: str) -> list[dict[str, str]]:
    with (HERE / "tried" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _panels() -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(8, 2.6), layout="constrained")
    return figure, list(figure.subplots(1, 3))


def _save(figure: Figure, name: str) -> None:
    figure.savefig(OUT / f"{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
