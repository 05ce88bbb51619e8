"""Records of results, made in memory."""

from pathlib import Path

from byola_diff.scores import Records, Score, ScoreRecord, student_interval

EVIL = "<script>alert('1')</script>|`x`"


def score(*values):
    seeds = {f"seed {42 + number}": value for number, value in enumerate(values)}
    return Score(seeds, *student_interval(list(values)))


def record(task="esc50", encoder="vggish", values=(0.80, 0.82, 0.84), metric="accuracy", **changes):
    failed, deviations = changes.get("error") is not None, list(changes.pop("deviations", ()))
    whole = {
        "path": Path("runs/record.json"),
        "protocol": "evar",
        "encoder": {"name": encoder, "sha256": changes.pop("sha256", "ab" * 32)},
        "status": "failed" if failed else "ok",
        "scores": {} if failed else {metric: score(*values)},
        "finished": "2026-01-01T00:00:00Z",
        "settings": {"batch_size": 200},
        "versions": {"torch": "2.14.1", "torchcrepe": None},
        "commit": "0123456789abcdef" + "-dirty",
        "wall_s": 1.5,
    }
    whole |= changes
    if deviations:
        whole["settings"] = {**whole["settings"], "deviations": deviations}
    return ScoreRecord(task=task, **whole)


def layer(name, index, of, **changes):
    return record(layer={"name": name, "index": index, "of": of}, **changes)


def fusion(of, layers, **changes):
    name = f"{of}[{','.join(layers)}]"
    return record(encoder=name, fusion={"of": of, "layers": layers}, base=of, **changes)


def records_of_a_report():
    """Scores of an encoder, its layers and a fusion of them, another encoder, and a failure."""
    scored = [
        record(),
        record("us8k", EVIL, (0.7,), probe={"learning_rate": 1e-3}),
        *(layer(name, place, 3, values=(place / 4,)) for place, name in enumerate("abc", start=1)),
        fusion("vggish", ["a", "c"], values=(0.86, 0.87, 0.88)),
    ]
    failed = [record("gtzan", "ast", error="OutOfMemoryError: no <memory>\nleft")]
    return Records(tuple(scored), tuple(failed), ("runs/x.json left out: broken & foreign",))
