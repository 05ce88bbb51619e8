"""Odd and hostile files: each is read, or refused by the error that its reader documents.

Each of a seeded corpus is a valid small file with mutations, or made to do harm. A batch of them is
read in a fork of bounded memory, which must neither die, nor run what a file asks for, nor take
long.
"""

import contextlib
import io
import json
import os
import pickle
import random
import resource
import signal
import tempfile
import traceback
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from safetensors.torch import save_file

from byola_diff.audio.files import AudioFileError, read_audio
from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.commands import pretrain
from byola_diff.encoders.open import read_spec
from byola_diff.models.bundle import load_encoder
from byola_diff.models.cnn import ENCODERS
from byola_diff.models.encoder import AudioEncoder
from byola_diff.models.weights import read_safetensors
from byola_diff.scores import read_records, write_record
from byola_diff.soundscapes.render.jams_document import to_jams
from byola_diff.soundscapes.render.jams_file import JamsError, read_jams
from byola_diff.soundscapes.render.plan import Event, Soundscape
from byola_diff.storage import BrokenFileError, hash_file, load_checked, save_checked, sha256
from byola_diff.tables.manifest import ManifestError, read_manifest
from byola_diff.tables.pairs import Pair, PairError, read_pairs, write_pairs
from tests.bundles import write_bundle
from tests.faults.damage import alter
from tests.reports.result_records import record

RATE = 8000
_BATCH = 50
_MEMORY_BYTES = 2 << 30  # beside what a process has that has read nothing
_SECONDS = 20


@dataclass(frozen=True)
class Reader:
    """Files of one kind: valid ones, hostile ones, and what reads them."""

    valid: Callable[[Path], dict[str, bytes]]
    """By name, whose suffix counts; other files that they name are put into the folder."""
    read: Callable[[Path], object]
    refusals: tuple[type[BaseException], ...]
    hostile: Callable[[Path], dict[str, bytes]] = lambda marker: {}
    """Of a marker: the path of a file that is made if one of them is run."""
    text: bool = True
    rare: bool = False
    """Reading takes so long that few are read."""


@dataclass(frozen=True)
class Outcome:
    """What came of one file."""

    kind: str
    file: str
    answer: str
    fault: str | None


def read_all(n_files: int, seed: int = 0) -> list[Outcome]:
    """So many files over all kinds in turn, the hostile ones first."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        (root / "empty").mkdir()
        jobs = _files(root, n_files, seed)
        outcomes = []
        while jobs:
            batch, jobs = jobs[:_BATCH], jobs[_BATCH:]
            done = _in_fork(batch, root)
            outcomes += done
            jobs = batch[len(done) :] + jobs  # the rest of one that died
        if (root / "marker").exists():
            outcomes.append(Outcome("all", "one of them", "executed", "code of a file was run"))
    return outcomes


def _files(root: Path, n_files: int, seed: int) -> list[tuple[str, Path]]:
    """The corpus, written: kind and path of each file, every one in a folder of its own."""
    sources: dict[str, Iterator[tuple[str, bytes]]] = {}
    for kind, reader in READERS.items():
        (root / kind).mkdir()
        sources[kind] = _of_kind(kind, reader, root, seed)
    jobs: list[tuple[str, Path]] = []
    turn = 0
    while len(jobs) < n_files:
        for kind, source in sources.items():
            if len(jobs) < n_files and not (READERS[kind].rare and turn % 10):
                name, content = next(source)
                path = root / kind / f"{len(jobs):05d}-{name}"
                path.write_bytes(content)
                jobs.append((kind, path))
        turn += 1
    return jobs


def _of_kind(kind: str, reader: Reader, root: Path, seed: int) -> Iterator[tuple[str, bytes]]:
    """Valid files as they are, hostile ones, then mutations of both without end."""
    valid = reader.valid(root / kind)
    for name, content in valid.items():
        yield f"valid-{name}", content
    hostile = reader.hostile(root / "marker")
    yield from hostile.items()
    draw = random.Random(f"{seed}/{kind}")
    small = {name: content for name, content in hostile.items() if len(content) < 100_000}
    names = sorted(valid) * 3 + sorted(small)
    while True:
        name = draw.choice(names)
        content = (valid | small)[name]
        for _ in range(draw.choice((1, 1, 2, 4))):
            content = _mutated(content, reader.text, draw)
        yield name, content


_TOKENS = (
    *(
        b"../../../etc/passwd",
        b"/dev/zero",
        b"nan",
        b"-1",
        b"1e309",
        b"-inf",
        b"0",
        b"\0",
        b"9" * 400,
    ),
    *(
        b"99999999999",
        b"null",
        b"[]",
        b"{}",
        b'""',
        b"true",
        b"\xff\xfe",
        b"\xe2\x80\xae",
        b"\r\n\r\n",
    ),
    *(b",", b";", b'"', b"'", b"[" * 5000, b"{" * 2000, b"&a [*a]", b"!!python/name:os.system"),
    *("\u0661".encode(), "e\u0301".encode(), b"A" * 100_000, b"%s%n", b"<script>", b"=1+1"),
)


def _mutated(content: bytes, text: bool, draw: random.Random) -> bytes:
    if not content or draw.random() < 0.3:
        return alter(content, draw)[0]
    if not text:
        changed = bytearray(content)
        place = draw.randrange(min(len(content), draw.choice((64, 256, 1 << 20))))
        word = draw.choice(
            (b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80")
        )
        changed[place : place + len(word)] = word
        return bytes(changed) + (content if draw.random() < 0.1 else b"")
    lines = content.split(b"\n")
    place = draw.randrange(len(lines))
    what = draw.choice(("token", "token", "token", "drop", "twice", "swap"))
    if what == "drop":
        del lines[place]
    elif what == "twice":
        lines.insert(place, lines[place])
    elif what == "swap":
        other = draw.randrange(len(lines))
        lines[place], lines[other] = lines[other], lines[place]
    else:  # in the place of a word, or between two characters
        line, token = lines[place], draw.choice(_TOKENS)
        words = [word for word in line.replace(b",", b" ").replace(b":", b" ").split() if word]
        if words and draw.random() < 0.7:
            lines[place] = line.replace(draw.choice(words), token, 1)
        else:
            cut = draw.randrange(len(line) + 1)
            lines[place] = line[:cut] + token + line[cut:]
    return b"\n".join(lines)


def _in_fork(jobs: list[tuple[str, Path]], root: Path) -> list[Outcome]:
    """What came of the first of the files: all, or up to one that the process died of."""
    answers, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(answers)
        _read_and_end(jobs, told, root / "empty")
    os.close(told)
    with os.fdopen(answers) as stream:
        lines = stream.read().splitlines()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    done = [Outcome(*json.loads(line)) for line in lines]
    if len(done) < len(jobs):
        kind, path = jobs[len(done)]
        done.append(Outcome(kind, path.name, "died", f"the process ended with status {status}"))
    return done


def _read_and_end(jobs: list[tuple[str, Path]], told: int, empty: Path) -> None:
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    os.chdir(empty)
    try:
        torch.set_num_threads(1)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY_BYTES,) * 2)
        signal.signal(signal.SIGALRM, _too_long)
        for kind, path in jobs:
            answer, fault = _answer(READERS[kind], path)
            os.write(told, (json.dumps([kind, path.name, answer, fault]) + "\n").encode())
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _too_long(*_: object) -> None:
    raise TimeoutError(f"took longer than {_SECONDS} s")


def _answer(reader: Reader, path: Path) -> tuple[str, str | None]:
    signal.alarm(_SECONDS)
    try:
        reader.read(path)
    except TimeoutError as error:
        return "hangs", str(error)
    except reader.refusals as error:
        if "-valid-" in path.name:
            return "refused", f"falsely refused: {error}"[:300]
        return "refused", None
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return "crash", f"{type(error).__name__} at {place}: {error}"[:300]
    finally:
        signal.alarm(0)
    return "read", None


def _audio(folder: Path) -> dict[str, bytes]:
    """A quarter of a second in every format that is read."""
    samples = 0.2 * np.random.default_rng(0).standard_normal((RATE // 4, 2))
    kinds = [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "PCM_24"), ("WAV", "MS_ADPCM")]
    kinds += [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]
    kinds += [("AIFF", "PCM_16"), ("AU", "PCM_16"), ("CAF", "PCM_16"), ("W64", "PCM_16")]
    kinds += [("RF64", "PCM_16"), ("WAV", "GSM610"), ("WAV", "ULAW")]
    files = {}
    for number, (kind, subtype) in enumerate(kinds):
        stream = io.BytesIO()
        channels = samples[:, :1] if subtype == "GSM610" else samples
        soundfile.write(stream, channels, RATE, format=kind, subtype=subtype)
        files[f"{number}.{kind.lower()}"] = stream.getvalue()
    return files


def _hostile_audio(marker: Path) -> dict[str, bytes]:
    stream = io.BytesIO()
    soundfile.write(stream, np.zeros(2000), RATE, format="FLAC")
    flac = bytearray(stream.getvalue())
    flac[21] |= 0x0F  # 2**36 - 1 samples, as the header claims
    flac[22:26] = b"\xff" * 4
    wav = bytearray(_audio(marker)["0.wav"])
    channels, rate = wav.copy(), wav.copy()
    channels[22:24] = b"\xff\xff"
    rate[24:28] = b"\xff\xff\xff\xff"
    return {
        "long.flac": bytes(flac),
        "channels.wav": bytes(channels),
        "rate.wav": bytes(rate),
        "empty.wav": b"",
        "riff.wav": b"RIFF\xff\xff\xff\xffWAVE",
        "zeros.mp3": bytes(5000),
        "sync.mp3": b"\xff\xfb" * 4000,
        "pages.ogg": b"OggS" * 3000,
        "text.flac": b"fLaC" + b"\xff" * 3000,
        "pickle.wav": pickle.dumps(_Runs(marker)),
    }


class _Runs:
    """What a pickle runs that is loaded without care."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch '{self.marker}'",)


def _sounds(folder: Path) -> None:
    for name in ("a", "b", "c", "d"):
        soundfile.write(folder / f"{name}.wav", np.zeros(RATE), RATE)


def _manifests(folder: Path) -> dict[str, bytes]:
    _sounds(folder)
    return {
        "split.csv": b"file,label,split,group\na.wav,dog,train,1\n"
        b"b.wav,cat,test,2\nc.wav,dog,valid,3\n",
        "fold.csv": b"file,labels,fold,start_s,duration_s\n"
        b"a.wav,dog;cat,1,0,0.5\nb.wav,cat,2,0.25,0.5\n",
        "evar.csv": b"\xef\xbb\xbffile_name,label,split,text\r\n"
        b'a.wav,"a, b",train,x\r\nb.wav,c,test,y\r\n',
    }


def _hostile_tables(marker: Path) -> dict[str, bytes]:
    return {
        "device.csv": b"file,label,split\n/dev/zero,a,train\n",
        "above.csv": b"file,label,split\n../../../../etc/passwd,a,train\n",
        "wide.csv": b"file,label,split" + b",x" * 50_000 + b"\n",
        "quote.csv": b'file,label,split\n"' + b"a" * 300_000,
        "nul.csv": b"file,label,split\na.wav\0,b,train\n",
        "long.csv": b"file,label,split\n" + b"a" * 5000 + b",b,train\n",
        "fold.csv": b"file,label,fold\na.wav,b," + b"9" * 5000 + b"\n",
        "utf16.csv": "file,label,split\na.wav,b,train\n".encode("utf-16"),
    }


def _pair_tables(folder: Path) -> dict[str, bytes]:
    _sounds(folder)
    rows = [
        Pair("one", "rain", "train", "a.wav", "b.wav", (), ("beep",), "add a beep"),
        Pair("two", "rain", "test", "c.wav", "d.wav", ("beep",), (), "remove the beep"),
    ]
    write_pairs(folder / "pairs.csv", rows)
    return {"pairs.csv": (folder / "pairs.csv").read_bytes()}


def _jams(folder: Path) -> dict[str, bytes]:
    for role, label in (("background", "rain"), ("foreground", "dog")):
        (folder / role / label).mkdir(parents=True)
        soundfile.write(folder / role / label / "a.wav", np.zeros(RATE), RATE)
    bed = Event("background", "rain", "rain/a.wav")
    dog = Event("foreground", "dog", "dog/a.wav", 0.0, 0.2, 0.5, 3.0)
    plan = Soundscape("one", 1.0, RATE, -30.0, (bed, dog), 0.01)
    return {"one.jams": to_jams(plan, {"a": 1}).encode()}


def _hostile_json(marker: Path) -> dict[str, bytes]:
    return {
        "deep.json": b"[" * 200_000,
        "keys.json": b'{"a":' * 100_000,
        "number.json": b'{"format": ' + b"9" * 100_000 + b"}",
        "nan.json": b'{"annotations": NaN}',
        "list.json": b"[]",
        "null.json": b"null",
        "empty.json": b"",
        "surrogate.json": b'{"protocol": "\\ud800", "task": "\\ud800", "encoder": {"name": "a"}}',
    }


def _read_record(path: Path) -> None:
    records = read_records(path)
    if records.problems:
        raise ValueError(" ".join(records.problems))


def _record(folder: Path) -> dict[str, bytes]:
    return {"record.json": write_record(folder, record()).read_bytes()}


def _encoder_files(folder: Path) -> dict[str, bytes]:
    return {
        "one.yaml": b"encoder: untrained:cnn14\noptions: {seed: 3}\nlayers: [1]\npooling: mean\n",
        "some.yaml": b"name: both\nensemble:\n  combine: concat\n  members:\n"
        b"    - encoder: cnn14\n      weights: c.pth\n    - encoder: vggish\n      states: mean\n",
    }


def _hostile_yaml(marker: Path) -> dict[str, bytes]:
    bomb = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    bomb += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    return {
        "run.yaml": f"!!python/object/apply:os.system ['touch {marker}']".encode(),
        "key.yaml": f"encoder: !!python/object/apply:os.system ['touch {marker}']\n".encode(),
        "bomb.yaml": "\n".join([*bomb, "encoder: *a8", ""]).encode(),
        "bomb-options.yaml": "\n".join(["encoder: cnn14", *bomb, "options: {a: *a8}"]).encode(),
        "loop.yaml": b"encoder: &a [*a]\noptions: &b {b: *b}\n",
        "deep.yaml": b"[" * 3000,
        "unhashable.yaml": b"? [a]\n: b\n",
        "date.yaml": b"encoder: 2001-99-99\n",
        "empty.yaml": b"",
    }


def _pretrain_files(folder: Path) -> dict[str, bytes]:
    return {
        "mine.yaml": b"out_dir: run\nseed: 3\ndata:\n  source: procedural\n  unit_s: 0.5\n"
        b"training:\n  steps: 5\n  lr: 0.001\n  devices: 1\nobjective:\n  difference_weight: 0.3\n"
    }


def _parse(path: Path) -> None:
    with contextlib.redirect_stderr(io.StringIO()):
        pretrain.parse_args([f"--config={path}"])


def _network() -> AudioEncoder:
    return AudioEncoder(LogMel(n_mels=8), Normalize(-5.0, 4.0), ENCODERS["AudioNTT2020"](8, 8))


def _tensor_files(folder: Path) -> dict[str, bytes]:
    weights = _network().network.state_dict()
    torch.save(weights, folder / "w.pth")
    torch.save({"state_dict": weights}, folder / "old.pth", _use_new_zipfile_serialization=False)
    return {name: (folder / name).read_bytes() for name in ("w.pth", "old.pth")}


def _hostile_tensors(marker: Path) -> dict[str, bytes]:
    whole, bomb = io.BytesIO(), io.BytesIO()
    torch.save({"w": _Runs(marker)}, whole)
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", bytes(64 << 20))
        archive.writestr("w/version", b"3\n")
    return {
        "run.pth": whole.getvalue(),
        "plain.pth": pickle.dumps(_Runs(marker)),
        "inside.pth": pickle.dumps({"w": _Runs(marker)}, protocol=2),
        "bomb.pth": bomb.getvalue(),
        "text.pth": b"c" + b"os\nsystem\n(S'true'\ntR.",
        "huge.pth": b"PK\x03\x04" + b"\xff" * 200,
        "empty.pth": b"",
    }


def _safetensors(folder: Path) -> dict[str, bytes]:
    weights = {name: value.contiguous() for name, value in _network().network.state_dict().items()}
    save_file(weights, folder / "w.safetensors")
    return {"w.safetensors": (folder / "w.safetensors").read_bytes()}


def _hostile_safetensors(marker: Path) -> dict[str, bytes]:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}})
    return {
        "header.safetensors": (1 << 62).to_bytes(8, "little") + b"{}",
        "shape.safetensors": len(header).to_bytes(8, "little") + header.encode(),
        "deep.safetensors": (50_000).to_bytes(8, "little") + b"[" * 50_000,
        "empty.safetensors": b"",
    }


def _read_weights(path: Path) -> None:
    load_encoder(path, statistics=(-5.0, 4.0), front_end={"n_mels": 8})


def _configs(folder: Path) -> dict[str, bytes]:
    write_bundle(folder / "bundle", _network(), training={"objective": {"a": 0.5}})
    return {"config.json": (folder / "bundle" / "config.json").read_bytes()}


def _hostile_configs(marker: Path) -> dict[str, bytes]:
    """Such as one made by hand would be, so without regard to a hash of it."""
    folder = marker.parent / "bundle config" / "bundle"
    good = json.loads((folder / "config.json").read_bytes())
    changes = {
        "n_fft": 10**9,
        "n_mels": 10**9,
        "sample_rate": -1,
        "hop_samples": 0,
        "f_min_hz": "x",
    }
    files = {}
    for name, value in changes.items():
        files[f"{name}.json"] = json.dumps(
            {**good, "front_end": {**good["front_end"], name: value}}
        )
    files["std.json"] = json.dumps({**good, "statistics": {"mean": 0, "std": 1e400}})
    files["dim.json"] = json.dumps({**good, "encoder": {"name": "AudioNTT2020", "dim": 10**12}})
    return {name: text.encode() for name, text in files.items()} | _hostile_json(marker)


def _read_config(path: Path) -> None:
    """In the place of that of a bundle."""
    config = path.parent / "bundle" / "config.json"
    kept = config.read_bytes()
    config.write_bytes(path.read_bytes())
    try:
        load_encoder(config.parent)
    finally:
        config.write_bytes(kept)


def _checkpoint(folder: Path) -> dict[str, bytes]:
    save_checked({"w": torch.zeros(9)}, folder / "step.ckpt")
    return {"step.ckpt": (folder / "step.ckpt").read_bytes()}


def _read_checkpoint(path: Path) -> None:
    """With a hash that is right, as whoever made the file can make one."""
    hash_file(path).write_text(f"{sha256(path)}  {path.name}\n")
    load_checked(path)


_BROKEN = (BrokenFileError,)
_ROLES = ("background", "foreground")
READERS = {
    "audio": Reader(_audio, read_audio, (AudioFileError,), _hostile_audio, text=False),
    "manifest": Reader(_manifests, read_manifest, (ManifestError,), _hostile_tables),
    "pair table": Reader(_pair_tables, read_pairs, (PairError,), _hostile_tables),
    "JAMS": Reader(
        _jams,
        lambda path: read_jams(path, {role: path.parent / role for role in _ROLES}),
        (JamsError,),
        _hostile_json,
    ),
    "score record": Reader(_record, _read_record, (ValueError,), _hostile_json),
    "encoder YAML": Reader(_encoder_files, read_spec, (ValueError,), _hostile_yaml),
    "pretraining YAML": Reader(_pretrain_files, _parse, (SystemExit,), _hostile_yaml, rare=True),
    "weights": Reader(_tensor_files, _read_weights, _BROKEN, _hostile_tensors, text=False),
    "checkpoint": Reader(_checkpoint, _read_checkpoint, _BROKEN, _hostile_tensors, text=False),
    "safetensors": Reader(
        _safetensors,
        read_safetensors,
        _BROKEN,
        _hostile_safetensors,
        text=False,
    ),
    "bundle config": Reader(_configs, _read_config, _BROKEN, _hostile_configs),
}
