"""The commands whose results are frozen, and how their results are read.

All is reached as users reach it: by the command line, the Python API and the files that are
written. So modules, functions and classes may move and change names without an edit here.
"""

import json
import os
from functools import cached_property
from pathlib import Path

import numpy as np

from tests import processes
from tests.frozen import frozen_inputs as inputs

HERE = Path(__file__).parent
SCORES_FILE = HERE / "scores.json"
EMBEDDINGS_FILE = HERE / "embeddings.json"
TOLERANCE = 1e-6
N_CLIPS, N_DIMENSIONS = 3, 64
"""Of embeddings, how many are kept at most."""

RATES = "--learning-rates 1e-3 1e-2 --seeds 42 43"
SMALL = "--precision float32 --device cpu --workers 1"

SCORES = {
    "linear evar": (
        "linear --encoder log-mel-statistics {bundle} "
        f"--manifest {{sounds}}/splits.csv {{sounds}}/several.csv --protocol evar {RATES}"
    ),
    "linear diff24": (
        f"linear --encoder {{bundle}} --manifest {{sounds}}/folds.csv --protocol diff24 {RATES}"
    ),
    "linear logistic": (
        "linear --encoder {bundle} --manifest {sounds}/splits.csv {sounds}/folds.csv "
        "--protocol logistic"
    ),
    "layers": (
        f"layers --encoder {{bundle}} --manifest {{sounds}}/several.csv --protocol diff24 {RATES}"
    ),
    "fusion": (
        f"fusion --encoder {{bundle}}[conv1,output] --manifest {{sounds}}/several.csv {RATES}"
    ),
    "ensemble": (
        "ensemble --encoder {ensemble} --manifest {sounds}/several.csv "
        f"--protocol diff24 {RATES}"
    ),
    "hear": "hear --encoder log-mel-statistics --task {hear_scenes} {hear_events}",
    "bgknown": "bgknown --encoder {bundle}[conv1] --data {bgknown} --learning-rates 1e-2",
    "additivity": (
        "additivity --encoder {bundle} --events 12 --snr-db -5 5 "
        "--duration-s 0.5 --polyphony-clips 16 --seeds 0 1 2"
    ),
    "retrieval": (
        "retrieval --encoder log-mel-statistics --pairs {pairs}/pairs.csv --epochs 4 "
        "--seeds 42 43 --systems {folder}/systems"
    ),
}
"""Words of evaluate.py, which write score records."""

EMBEDDERS = {
    "bundle": "{bundle}",
    "fusion": "{bundle}[conv1,output]",
    "ensemble": "{ensemble}",
    "untrained": "untrained:AudioNTT2022:1088",
}
"""Encoders of `evaluate.py embed`."""


class Workshop:
    """A folder in which commands are run; what they need is made when it is first needed."""

    def __init__(self, folder):
        self.folder = folder

    def scores(self, name):
        """Results of all records that a command of `SCORES` writes, in a fixed order."""
        out = self.folder / "scores" / name.replace(" ", "_")
        words = self._words(SCORES[name]) + self._options(name) + ["--out", out]
        self.run("evaluate.py", *words)
        records = [json.loads(path.read_bytes()) for path in sorted(out.glob("*.json"))]
        found = [results_of(record, self.folder) for record in records]
        return sorted(found, key=lambda result: [str(result[key]) for key in IDENTITY])

    def embeddings(self):
        """The first numbers of embeddings of a few clips: by the command, and by the Python API."""
        found = {}
        for name, word in EMBEDDERS.items():
            out = self.folder / f"{name}.npy"
            words = self._words(f"embed --encoder {word} --manifest {{clips}}/manifest.csv")
            self.run("evaluate.py", *words, *self._options("embed"), "--out", out)
            found[f"embed {name}"] = few(np.load(out))
        out = self.folder / "loaded.json"
        self.run(HERE / "load_and_embed.py", self.bundle, self.weights, out)
        for name, values in json.loads(out.read_bytes()).items():
            found[f"load_encoder {name}"] = few(values)
        return found

    def run(self, script, *words):
        """Run a script in the repository's folder.

        Raises:
            AssertionError: If its exit status is not 0; with the last lines that it printed.
        """
        done = processes.run(script, *words)
        if done.returncode != 0:
            command = " ".join(done.args)
            raise AssertionError(f"{command}: {done.returncode}\n{done.stderr[-3000:]}")

    @cached_property
    def sounds(self):
        out = self.folder / "sounds"
        words = "--seed 2 --clips 240 --duration-s 0.5 --test-share 0.25 --valid-share 0.25"
        beds = "--backgrounds 32 --background-duration-s 10"
        self.run("datasets/make_sounds.py", out, *words.split(), *beds.split())
        inputs.write_lists(out)
        return out

    @cached_property
    def bgknown(self):
        inputs.write_events(self.folder / "events")
        out = self.folder / "bgknown"
        words = ["--esc50", self.folder / "events", "--background", "procedural", "--out", out]
        how = "--renderer mixer --sample-rate 16000 --limit 18 --ref-db -50 --snr-db 12 15"
        others = ["--exclude-background-labels", *inputs.OTHER_BACKGROUNDS]
        self.run("datasets/make_bgknown_esc50.py", *words, *how.split(), *others)
        return out

    @cached_property
    def pairs(self):
        out, sounds = self.folder / "pairs", self.sounds
        words = ["--events", sounds / "audio", "--background", sounds / "backgrounds", "--out", out]
        how = "--pairs-dev 12 --pairs-eval 8 --renderer mixer --sample-rate 16000 --ref-db -52 -43"
        self.run("datasets/make_apwd.py", *words, *how.split())
        return out

    @cached_property
    def clips(self):
        inputs.write_clips(self.folder / "clips")
        return self.folder / "clips"

    @cached_property
    def bundle(self):
        inputs.write_bundle(self.folder / "bundle")
        return self.folder / "bundle"

    @cached_property
    def weights(self):
        inputs.write_weights(self.folder / "weights.pth")
        return self.folder / "weights.pth"

    @cached_property
    def ensemble(self):
        members = [{"encoder": f"untrained:{self.bundle}:7"}, {"encoder": str(self.bundle)}]
        path = self.folder / "two.yaml"
        path.write_text(json.dumps({"ensemble": {"combine": "interleave", "members": members}}))
        return path

    @cached_property
    def hear_scenes(self):
        inputs.write_scene_task(self.folder / "hear_scenes")
        return self.folder / "hear_scenes"

    @cached_property
    def hear_events(self):
        inputs.write_event_task(self.folder / "hear_events")
        return self.folder / "hear_events"

    def _words(self, template):
        names = "folder clips sounds bgknown pairs bundle weights ensemble hear_scenes hear_events"
        made = {name: getattr(self, name) for name in names.split() if f"{{{name}}}" in template}
        return template.format(**made).split()

    def _options(self, name):
        if name == "additivity":
            return ["--device", "cpu"]
        return [*SMALL.split(), "--cache", str(self.folder / "cache")]


IDENTITY = ("protocol", "task", "encoder", "layer")


def results_of(record, folder):
    """What a record measured, and all numbers that are results. Edit this if records change.

    Hashes, times, versions, commits, settings and paths are left out; `folder` is cut off from
    the names of encoders.

    Raises:
        AssertionError: If it is the record of a failure.
    """
    assert record["status"] == "ok", record["error"]
    probe = {name: value for name, value in record["probe"].items() if name != "searched"}
    searched = [score for _, score in record["probe"].get("searched", ())]
    results = {
        "scores": record["scores"],
        "curves": record.get("curves", {}),
        "chosen": probe | ({"searched": searched} if searched else {}),
    }
    return {
        "protocol": record["protocol"],
        "task": record["task"],
        "encoder": record["encoder"]["name"].replace(f"{folder}{os.sep}", ""),
        "layer": record["layer"]["name"] if record["layer"] else None,
        "values": dict(_numbers(results)),
    }


def _numbers(value, name=""):
    """All numbers in nested tables and lists, by the names that lead to them."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield from _numbers(inner, f"{name} / {key}" if name else str(key))
    elif isinstance(value, int | float):
        yield name, round(float(value), 9)


def few(embeddings):
    """The first numbers of the first clips, as plain lists."""
    return np.round(np.asarray(embeddings, dtype=float)[:N_CLIPS, :N_DIMENSIONS], 9).tolist()
