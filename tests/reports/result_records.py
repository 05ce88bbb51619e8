"""Records of results, made in memory."""

from dataclasses import replace
from pathlib import Path

from byola_diff.scores.intervals import student_interval
from byola_diff.scores.read import Record, Score


def score(*values):
    interval = student_interval(list(values))
    seeds = {f"seed {42 + number}": value for number, value in enumerate(values)}
    return Score(seeds, interval.mean, interval.half_width)


def record(task="esc50", encoder="vggish", values=(0.80, 0.82, 0.84), metric="accuracy", **changes):
    failed, deviations = changes.get("error") is not None, changes.pop("deviations", ())
    details = {
        "settings": {"batch_size": 200},
        "probe": {},
        "versions": {"torch": "2.14.1", "torchcrepe": None},
        "commit": "0123456789abcdef" + "-dirty",
        "wall_s": 1.5,
    }
    whole = {
        "path": Path("runs/record.json"),
        "protocol": "evar",
        "sha256": "ab" * 32,
        "error": None,
        "scores": {} if failed else {metric: score(*values)},
        "finished": "2026-01-01T00:00:00Z",
        "details": details | changes.pop("details", {}),
    }
    whole |= changes
    whole["scores"] = {
        name: replace(score, deviations=deviations) for name, score in whole["scores"].items()
    }
    return Record(task=task, encoder=encoder, **whole)


def layer(name, index, of, **changes):
    return record(layer={"name": name, "index": index, "of": of}, **changes)


def fusion(of, layers, **changes):
    name = f"{of}[{','.join(layers)}]"
    return record(encoder=name, fusion={"of": of, "layers": layers}, base=of, **changes)
