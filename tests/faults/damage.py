"""Every kind of file that is read back, damaged: refused, or what was lost is made again.

A kind is a row of `KINDS`. What counts is the answer of its reader. `refused`: an error that its
documentation names, or a file told to be left out. `healed`: the same value as of the whole file,
down to the last bit, as damaged parts of a cache are made again. Anything else is a fault.
"""

import contextlib
import functools
import io
import json
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.commands import prepare_clips
from byola_diff.corpora.prepare import Choices, prepare_task
from byola_diff.corpora.registry import TASKS
from byola_diff.corpora.task import read_task
from byola_diff.embeddings.extract import ExtractionOptions, embed
from byola_diff.evaluation.bgknown.data import read_bgknown
from byola_diff.evaluation.retrieval.network import seeded_retrieval_network
from byola_diff.evaluation.retrieval.system import (
    RetrievalSystem,
    SystemAbout,
    load_system,
    save_system,
)
from byola_diff.models.bundle import load_encoder
from byola_diff.models.cnn import ENCODERS
from byola_diff.models.encoder import AudioEncoder
from byola_diff.reports.extras import read_extras, write_extra
from byola_diff.scores import read_records, write_record
from byola_diff.soundscapes.bgknown import corpus
from byola_diff.soundscapes.render.mixer import mix
from byola_diff.storage import BrokenFileError, load_checked, read_json, save_checked
from byola_diff.store.description import PackedStoreError
from byola_diff.store.packed import PackedStore
from byola_diff.tables.manifest import read_manifest
from byola_diff.tables.preprocessing import Preprocessing
from byola_diff.training.monitors import MetricsFile
from tests.bundles import write_bundle
from tests.corpora.layouts import put_esc50
from tests.corpus import write_corpus
from tests.embeddings.counting_encoder import named
from tests.faults.kills import bgknown_plan, write_sources
from tests.file_hashes import file_hashes
from tests.reports.result_records import record
from tests.reports.test_extras import WHOLE
from tests.store.store_maker import write_sounds


class RefusedError(Exception):
    """A reader has told of the file in another way than by an error."""


@dataclass(frozen=True)
class Kind:
    """Files of one kind: how they are made, which of them are damaged, and how they are read."""

    make: Callable[[Path], object]
    damaged: tuple[str, ...]
    """Patterns below the folder."""
    read: Callable[[Path], object]
    """All that the files say, as a value to compare; may change the folder, which is a copy."""
    refusals: tuple[type[Exception], ...] = (RefusedError,)
    cost: int = 1
    """Of so many rounds, the kind has a part in one only: it takes long."""


@dataclass(frozen=True)
class Outcome:
    """What came of one damage."""

    kind: str
    damage: str
    answer: str
    fault: str | None


def damage_all(n_damages: int, seed: int = 0) -> list[Outcome]:
    """So many damages over all kinds in turn; the whole files are read first, which must work."""
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as place:
        root, whole = Path(place), {}
        for name, kind in KINDS.items():
            kind.make(root / name)
            with _copy(root / name) as folder:
                whole[name] = kind.read(folder)  # else a whole file is refused
        turn = 0
        while len(outcomes) < n_damages:
            for name, kind in KINDS.items():
                if turn % kind.cost == 0 and len(outcomes) < n_damages:
                    draw = random.Random(f"{seed}/{name}/{turn}")
                    outcomes.append(_one(name, kind, root / name, whole[name], draw))
            turn += 1
    return outcomes


def alter(content: bytes, draw: random.Random) -> tuple[bytes, str]:
    """Other bytes, and what was done: flipped bits, another digit, a lost end, a block of zeros."""
    what = draw.choice(("a bit", "a bit", "a digit", "bits", "cut", "zeros"))
    changed = bytearray(content)
    digits = [place for place, byte in enumerate(content[:100_000]) if 0x30 <= byte <= 0x39]
    if what == "a digit" and digits:
        changed[draw.choice(digits)] ^= draw.choice((1, 2, 4))  # some are no digits then
    if what == "cut" or not content:
        return content[: draw.randrange(len(content))] if content else b"\0", what
    if what == "zeros":
        start, length = draw.randrange(len(content)), draw.choice((1, 16, 512, 4096))
        block = changed[start : start + length]
        changed[start : start + length] = bytes(len(block))
    for _ in range({"a bit": 1, "bits": 20}.get(what, 0)):
        changed[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    if changed == content:  # there were zeros already, or bits flipped back
        changed[draw.randrange(len(content))] ^= 1
    return bytes(changed), what


def _one(name: str, kind: Kind, whole: Path, expected: object, draw: random.Random) -> Outcome:
    with _copy(whole) as folder:
        files = [sorted(folder.glob(pattern)) for pattern in kind.damaged]
        path = draw.choice(draw.choice(files))
        content, what = alter(path.read_bytes(), draw)
        path.write_bytes(content)
        damage = f"{path.relative_to(folder)}: {what}"
        try:
            value = kind.read(folder)
        except kind.refusals as error:
            told = str(error)
            return Outcome(name, damage, "refused", None if told else "refused without a word")
        except Exception as error:
            return Outcome(name, damage, "crash", f"{type(error).__name__}: {error}"[:300])
    same = value == expected
    return Outcome(name, damage, "healed" if same else "accepted", None if same else "accepted")


@contextlib.contextmanager
def _copy(folder: Path):
    """A copy, under one path for all copies: what is read may name it. Output is not shown."""
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            yield copy
    finally:
        shutil.rmtree(copy)


def _bits(tensors) -> dict:
    return {name: value.numpy().tobytes() for name, value in tensors.items()}


def _checkpoint(folder: Path) -> None:
    state = {"state_dict": {"w": torch.randn(40, 40)}, "global_step": 3}
    folder.mkdir()
    save_checked(state, folder / "step_00000003.ckpt")


def _read_checkpoint(folder: Path):
    content = load_checked(folder / "step_00000003.ckpt")
    return _bits(content["state_dict"]), content["global_step"]


def _bundle(folder: Path) -> None:
    network = ENCODERS["AudioNTT2020"](8, 16)
    encoder = AudioEncoder(LogMel(n_mels=8), Normalize(-5.0, 4.0), network)
    write_bundle(folder, encoder, licence="MIT", steps=4, training={"objective": {"a": 0.5}})


def _read_bundle(folder: Path):
    encoder = load_encoder(folder)
    return (
        _bits(encoder.state_dict()),
        encoder.log_mel.settings(),
        read_json(folder / "config.json"),
    )


def _packed(folder: Path, *, finished: bool = True) -> None:
    write_sounds(folder / "sounds", [3000, 50_000, 700, 20_000, 40_000, 30_000], 16_000)
    words = [str(folder / "sounds"), str(folder / "store"), "--sample-rate=96000", "--shard-mib=1"]
    keep, prepare_clips.shutil.rmtree = prepare_clips.shutil.rmtree, lambda *_, **__: None
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            assert prepare_clips.main(words) == 0
    finally:
        prepare_clips.shutil.rmtree = keep
    if finished:
        shutil.rmtree(folder / "store" / "parts")
    else:
        for name in ("meta.json", "index.npy", "clips.csv", "rejected.csv"):
            (folder / "store" / name).unlink()


def _read_packed(folder: Path):
    store = PackedStore.open(folder / "store")
    return [store.read(clip).tobytes() for clip in range(len(store))], store.sample_rate


def _pack_on(folder: Path):
    words = [str(folder / "sounds"), str(folder / "store"), "--sample-rate=96000", "--shard-mib=1"]
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        if prepare_clips.main(words) != 0:
            raise RefusedError(told.getvalue())
    return file_hashes(folder / "store")


def _embed(folder: Path):
    manifest = read_manifest(folder / "audio" / "manifest.csv")
    options = ExtractionOptions(
        cache=folder / "cache", batch_size=12, precision="float32", progress=False
    )
    return embed(_encoder(), manifest, "scene", Preprocessing(), options).scene.numpy().tobytes()


_encoder = functools.cache(named)  # its hash reads all of `tests`


def _cached(folder: Path) -> None:
    (folder / "audio").mkdir(parents=True)
    write_corpus(folder / "audio", 6)
    _embed(folder)


def _read_records(folder: Path):
    records = read_records(folder)
    if records.problems:
        raise RefusedError(" ".join(records.problems))
    return [one.model_dump(exclude={"path"}) for one in records.scored]


def _write_extra(folder: Path) -> None:
    folder.mkdir()
    write_extra(folder, "sounds", WHOLE)


def _read_extras(folder: Path):
    extras, problems = read_extras(folder)
    if problems:
        raise RefusedError(" ".join(problems))
    return extras


def _made(folder: Path) -> None:
    write_sources(folder)
    corpus.make_bgknown(bgknown_plan(folder, folder / "made"), ("mixer", mix))


def _read_made(folder: Path):
    data = read_bgknown(folder / "made")
    data.check_audio()
    facts = json.loads((folder / "made" / "bgknown.json").read_bytes())
    return data.manifests, data.hashes, data.items, data.settings, data.deviations, facts


def _make_on(folder: Path):
    _, refused = corpus.make_bgknown(bgknown_plan(folder, folder / "made"), ("mixer", mix))
    if refused:
        raise RefusedError(str(refused))
    return file_hashes(folder / "made")


def _task(folder: Path) -> None:
    put_esc50(folder)
    prepare_task(TASKS["esc50"], folder, folder / "task.csv", Choices(allow_partial=True))


def _read_task(folder: Path):
    return read_task(folder / "task.csv")


def _system(folder: Path) -> None:
    network = seeded_retrieval_network(0, 5, 4, n_classes=2, dim=8)
    about = SystemAbout(
        scene="rain", seed=0, best_epoch=3, encoder="e", encoder_sha256="0" * 64, text_encoder="t",
        text_encoder_sha256="1" * 64, audio_features=5, text_features=4, dim=8,
        classes=("beep", "hiss"), pairs="pairs.csv", settings={"epochs": 30},
    )  # fmt: skip
    folder.mkdir()
    save_system(RetrievalSystem(network, torch.zeros(5), torch.ones(5), about), folder)


def _read_system(folder: Path):
    system = load_system(folder)
    statistics = {"mean": system.mean, "deviation": system.deviation}
    return _bits(system.network.state_dict()), _bits(statistics), system.about


def _log(folder: Path) -> None:
    folder.mkdir()
    log = MetricsFile(folder / "metrics.csv")
    for step in range(1, 30):
        log.append(step, {"loss/total": 8 / step, "lr": 1e-3})


def _resume_log(folder: Path):
    """A log has no hash: what is asked is that a resumed run goes on with whole rows of numbers."""
    log = MetricsFile(folder / "metrics.csv")
    log.truncate(20)
    log.append(21, {"loss/total": 0.1, "lr": 1e-3})
    lines = (folder / "metrics.csv").read_text().splitlines()
    if lines[-1].split(",")[0] != "21" or len({line.count(",") for line in lines}) > 1:
        raise AssertionError(f"rows of different lengths: {lines[-3:]}")
    return "goes on"


KINDS = {
    "checkpoint": Kind(_checkpoint, ("*",), _read_checkpoint, (BrokenFileError,)),
    "bundle": Kind(_bundle, ("config.json", "model.safetensors"), _read_bundle, (BrokenFileError,)),
    "config.json of a bundle": Kind(_bundle, ("config.json",), _read_bundle, (BrokenFileError,)),
    "packed shards": Kind(_packed, ("store/*.i16",), _read_packed, (PackedStoreError,)),
    "index of packed shards": Kind(
        _packed, ("store/index.npy", "store/meta.json"), _read_packed, (PackedStoreError,)
    ),
    "shards of a resumed packing": Kind(
        lambda folder: _packed(folder, finished=False),
        ("store/*.i16", "store/parts/*.json", "store/plan.json"),
        _pack_on,
        cost=4,
    ),
    "cached embeddings": Kind(_cached, ("cache/*/*",), _embed),
    "score records": Kind(lambda folder: write_record(folder, record()), ("*",), _read_records),
    "extras of a report": Kind(_write_extra, ("*",), _read_extras),
    "task and its sidecar": Kind(_task, ("task.csv", "task.task.json"), _read_task, (ValueError,)),
    "retrieval system": Kind(_system, ("*",), _read_system, (BrokenFileError,)),
    "made data set": Kind(
        _made,
        ("made/*.csv", "made/bgknown.json", "made/audio/**/*.wav"),
        _read_made,
        (BrokenFileError, ValueError, OSError),
    ),
    "made data set, resumed": Kind(
        _made,
        ("made/**/*.wav", "made/**/*.jams", "made/*.json", "made/*.csv"),
        _make_on,
        (RefusedError, ValueError, OSError),
        cost=8,
    ),
    "metrics.csv": Kind(_log, ("*",), _resume_log),
}
