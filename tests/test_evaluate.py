"""The command line of the evaluation, end to end: tiny encoders, tones, every verb."""

import dataclasses
import io
import json
import os
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import evaluate
from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.encoders.cnn14 import Cnn14, Cnn14LogMel
from byola_diff.encoders.content_hash import content_hash
from byola_diff.encoders.log_mel_statistics import LogMelStatistics
from byola_diff.evaluation.linear import run as linear_runs
from byola_diff.models.bundle import load_encoder
from byola_diff.models.cnn import AudioNTT2020
from byola_diff.models.encoder import AudioEncoder
from byola_diff.probing.protocols import PROTOCOLS
from tests.bundles import write_bundle
from tests.corpus import RATE, write_corpus
from tests.evaluation.hear.hear_folders import write_event_task, write_scene_task

LAYERS = ["conv1", "conv2", "conv3", "fc1", "fc2", "output"]
QUICK = ["--learning-rates", "1e-2", "1e-1", "--seeds", "0", "1"]
VERBS = (
    *("linear", "layers", "fusion", "ensemble", "hear", "bgknown", "retrieval", "search"),
    *("additivity", "embed", "report"),
)
HEAR_QUICK = ["--grid", "faster", "--points", "2"]


def run(verb, *words):
    return evaluate.main([verb, *map(str, words)])


def files_below(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def read_all(folder):
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "small"
    torch.manual_seed(0)
    front_end = LogMel(sample_rate=RATE, n_mels=16, f_max_hz=4000.0)
    encoder = AudioEncoder(front_end, Normalize(-5.0, 4.0), AudioNTT2020(n_mels=16, dim=64))
    write_bundle(folder, encoder)
    return folder


@pytest.fixture(scope="module")
def ensemble(bundle):
    members = [{"encoder": str(bundle)}, {"encoder": f"untrained:{bundle}:7", "states": "last"}]
    path = bundle.parent / "two.yaml"
    path.write_text(yaml.safe_dump({"ensemble": {"combine": "concat", "members": members}}))
    return path


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """Folder to work in, with tones in three splits."""
    monkeypatch.chdir(tmp_path)
    write_corpus(tmp_path)
    return tmp_path


@pytest.fixture(scope="module", autouse=True)
def few_epochs():
    """10 epochs at most, for 200."""
    quick = {}
    for name, protocol in PROTOCOLS.items():
        rules = dataclasses.replace(protocol.rules, max_epochs=10)
        quick[name] = dataclasses.replace(protocol, rules=rules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear_runs, "PROTOCOLS", quick)
        yield


@pytest.fixture(scope="module")
def scored(tmp_path_factory, bundle, ensemble):
    """Records of all verbs of linear evaluation on tones in three folds, by verb."""
    root = tmp_path_factory.mktemp("scored")
    write_corpus(root, n_clips=30, column="fold")
    facts = {"task": "tones", "unit_s": 0.35, "deviations": ["tones, not recordings"]}
    (root / "manifest.task.json").write_text(json.dumps(facts))
    encoders = {
        "linear": [bundle, "log-mel-statistics"],
        "layers": [bundle],
        "fusion": [f"{bundle}[conv2,fc2]"],
        "ensemble": [ensemble],
    }
    records = {}
    for verb, words in encoders.items():
        files = ["--manifest", root / "manifest.csv", "--cache", root / "cache"]
        out = root / "scores" / verb
        assert run(verb, "--encoder", *words, *files, "--out", out, *QUICK) == 0
        records[verb] = read_all(out)
    return root, records


@pytest.fixture
def calls(monkeypatch):
    """Batches that any encoder of ours has been given for scene embeddings."""
    shapes, scene = [], AudioEncoder.scene

    def counted(self, waveform):
        shapes.append(tuple(waveform.shape))
        return scene(self, waveform)

    monkeypatch.setattr(AudioEncoder, "scene", counted)
    return shapes


def test_what_a_record_says(scored, bundle):
    records = scored[1]
    [record] = [each for each in records["linear"] if each["encoder"]["name"] == str(bundle)]
    assert (record["protocol"], record["task"], record["status"]) == ("evar", "tones", "ok")
    assert record["encoder"]["sha256"] == content_hash(load_encoder(bundle))
    assert record["layer"] is record["fusion"] is record["base"] is record["error"] is None
    settings = record["settings"]
    assert (settings["name"], settings["monitor"]) == ("evar", "score")
    assert (settings["learning_rates"], settings["seeds"]) == ([1e-2, 1e-1], [0, 1])
    assert (settings["unit_s"], settings["n_clips"]) == (0.35, 30)
    assert settings["deviations"] == [
        "tones, not recordings",
        "learning rates: 0.01, 0.1 only",
        "seeds: 0, 1 only",
    ]
    rates = record["probe"]["learning_rates"]
    assert list(rates) == ["fold 1", "fold 2", "fold 3"]
    assert set(rates.values()) <= {1e-2, 1e-1}
    score = record["scores"]["accuracy"]
    for seed in ("seed 0", "seed 1"):
        folds = score["per_fold"][seed]
        assert list(folds) == ["fold 1", "fold 2", "fold 3"]
        assert score["values"][seed] == pytest.approx(sum(folds.values()) / 3)
    assert score["mean"] == pytest.approx(sum(score["values"].values()) / 2)
    assert score["mean"] > 0.8  # tones an octave apart and more


def test_layers_are_records_of_their_own(scored, bundle):
    records = scored[1]["layers"]
    layers = sorted((record["layer"]["index"], record["layer"]["name"]) for record in records)
    assert layers == list(enumerate(LAYERS, start=1))
    assert {record["layer"]["of"] for record in records} == {6}
    assert {record["base"] for record in records} == {str(bundle)}


def test_fusion_stands_beside_what_it_is_made_of(scored, bundle):
    records = scored[1]["fusion"]
    assert len(records) == 1 + len(LAYERS) + 1
    [fused] = [record for record in records if record["fusion"]]
    assert fused["fusion"] == {"of": str(bundle), "layers": ["conv2", "fc2"]}
    assert fused["encoder"]["name"] == f"{bundle}[conv2,fc2]"
    # The rest is what the other verbs wrote: a report takes either.
    rest = [record for record in records if not record["fusion"]]
    others = [*scored[1]["layers"], *scored[1]["linear"]]
    for record in rest:
        [same] = [o for o in others if all(o[k] == record[k] for k in ("encoder", "layer"))]
        assert record["scores"] == same["scores"]
    assert fused["encoder"]["sha256"] not in {record["encoder"]["sha256"] for record in rest}


def test_ensemble_stands_beside_its_members(scored):
    records = {record["encoder"]["name"]: record for record in scored[1]["ensemble"]}
    members = [f"two, member {number}: AudioEncoder" for number in (1, 2)]
    assert records.keys() == {"two", *members}
    assert len({record["encoder"]["sha256"] for record in records.values()}) == 3
    assert [records[name]["base"] for name in members] == ["two", "two"]
    assert records["two"]["base"] is None


def test_report_of_the_records(scored, tmp_path, capsys):
    root, records = scored
    out, csv, text = (tmp_path / name for name in ("report.html", "scores.csv", "report.md"))
    words = ["report", root / "scores", "--out", out, "--csv", csv, "--markdown", text]
    assert run(*words, "--dry-run") == 0
    assert "report.md not written" in capsys.readouterr().out
    assert not files_below(tmp_path)
    assert run(*words) == 0
    assert "9 failures" not in capsys.readouterr().out
    for record in records["linear"]:
        share = record["scores"]["accuracy"]["mean"]
        for path in (out, csv, text):
            content = path.read_text()
            assert record["encoder"]["name"] in content, path
            assert re.search(rf"\b({100 * share:.1f}|{share})", content), path
    assert "<svg" in out.read_text() or "data:image" in out.read_text()


def test_report_of_nothing(tmp_path, capsys):
    assert run("report", tmp_path / "nowhere") == 2
    assert "nowhere does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(("protocol", "monitor"), [("evar", "score"), ("diff24", "loss")])
def test_protocol_by_split(corpus, bundle, capsys, protocol, monitor):
    words = ["--encoder", bundle, "--manifest", "manifest.csv", "--protocol", protocol]
    assert run("linear", *words, *QUICK) == 0
    [record] = read_all(corpus / "runs/scores")
    assert (record["protocol"], record["settings"]["monitor"]) == (protocol, monitor)
    assert record["scores"]["accuracy"]["per_fold"].keys() == {"seed 0", "seed 1"}
    assert record["scores"]["accuracy"]["per_fold"]["seed 0"].keys() == {"test"}
    assert f"{bundle}  {record['task']} accuracy" in capsys.readouterr().out


def test_logistic_protocol(corpus, bundle):
    words = ["--encoder", bundle, "--manifest", "manifest.csv", "--protocol", "logistic"]
    assert run("linear", *words) == 0
    [record] = read_all(corpus / "runs/scores")
    assert record["protocol"] == "logistic"
    assert record["scores"]["accuracy"] == {"values": {"test": 1.0}, "mean": 1.0, "ci95": None}
    assert record["probe"] == {}


@pytest.mark.slow
def test_several_encoders_on_several_tasks(corpus, bundle):
    write_corpus(corpus / "other", column="fold")
    manifests = ["manifest.csv", "other/manifest.csv"]
    words = ["--encoder", bundle, "log-mel-statistics", "--manifest", *manifests]
    assert run("linear", *words, "--protocol", "logistic") == 0
    names = {(r["encoder"]["name"], r["task"]) for r in read_all(corpus / "runs/scores")}
    tasks = {f"{corpus.name}/manifest", "other/manifest"}
    assert names == {(name, task) for name in (str(bundle), "log-mel-statistics") for task in tasks}


@pytest.mark.parametrize("write", [write_scene_task, write_event_task])
def test_hear(tmp_path, write):
    task, words = write(tmp_path / "task"), ["--cache", tmp_path / "cache", *HEAR_QUICK]
    encoders = ["log-mel-statistics", "log-mel-statistics[log_mel]"]
    words += [
        "--encoder",
        *encoders,
        "--task",
        task,
        "--out",
        tmp_path / "out",
        "--predictions",
        tmp_path / "answers",
    ]
    assert run("hear", *words) == 0
    records = read_all(tmp_path / "out")
    assert [record["protocol"] for record in records] == ["hear", "hear"]
    assert {record["task"] for record in records} == {"tones-v1-full"}
    assert next(iter(records[0]["scores"])) in ("top1_acc", "event_onset_200ms_fms")
    assert {"grid", "n_points", "shuffle", "seed", "deviations"} <= records[0]["settings"].keys()
    answers = [json.loads(path.read_text()) for path in files_below(tmp_path / "answers")]
    assert sorted(answer["encoder"] for answer in answers) == encoders  # none overwritten
    assert answers[0]["labels"] == ["high", "low", "mid"]
    assert list(answers[0]["folds"]) == ["test"]


def test_hear_archive(tmp_path, capsys):
    with tarfile.open(tmp_path / "hear-tones.tar.gz", "w:gz") as tar:
        tar.add(write_scene_task(tmp_path / "task"), "tasks/tones")
    words = ["--encoder", "log-mel-statistics", "--task", tmp_path / "hear-tones.tar.gz"]
    words += ["--cache", tmp_path / "cache", "--out", tmp_path / "out", *HEAR_QUICK]
    assert run("hear", *words, "--dry-run") == 0
    assert "18 clips, 0 of them cached; 2 probes" in capsys.readouterr().out
    assert run("hear", *words, "--shuffle") == 0
    [record] = read_all(tmp_path / "out")
    assert record["settings"]["shuffle"] is True
    # Not HEAR's protocol as it is: reports mark the score.
    assert {"grid: faster", "points: 2", "shuffle: True"} == set(record["settings"]["deviations"])
    assert "chosen" in record["probe"]
    assert run("hear", *words, "--dry-run") == 0
    assert "18 clips, 18 of them cached" in capsys.readouterr().out


def test_additivity(tmp_path, bundle, capsys):
    words = ["--encoder", bundle, "--events", "12", "--seeds", "0", "1", "--duration-s", "0.5"]
    words += ["--snr-db", "-5", "0", "--polyphony-clips", "0"]
    assert run("additivity", *words, "--out", tmp_path, "--dry-run") == 0
    assert "12 events, each for 2 seeds" in capsys.readouterr().out
    assert not files_below(tmp_path)
    assert run("additivity", *words, "--out", tmp_path) == 0
    [record] = read_all(tmp_path)
    settings = record["settings"]
    assert settings["main_snr_db"] == 0.0
    assert settings["deviations"] == [
        "events: 12",
        "snr_db: [-5.0, 0.0]",
        "duration_s: 0.5",
        "seeds: [0, 1]",
    ]
    assert set(record["curves"]["recall@1"]["values"]) == {"-5", "0"}
    assert -1 <= record["scores"]["cosine"]["mean"] <= 1
    assert list(record["scores"]["recall@1"]["values"]) == ["seed 0", "seed 1"]


def test_embed(corpus, bundle, calls, capsys):
    words = ["--encoder", bundle, "--manifest", "manifest.csv", "--out", "embeddings.npy"]
    assert run("embed", *words, "--dry-run") == 0
    assert "12 clips, 0 of them cached" in capsys.readouterr().out
    assert not calls
    assert not Path("embeddings.npy").exists()
    assert run("embed", *words) == 0
    embeddings = np.load("embeddings.npy")
    assert (embeddings.shape, embeddings.dtype) == ((12, 64), np.float32)


def test_audio_may_lie_elsewhere(corpus, capsys):
    Path("lists").mkdir()
    Path("manifest.csv").rename("lists/manifest.csv")
    words = ["--encoder", "log-mel-statistics", "--manifest", "lists/manifest.csv"]
    words += ["--protocol", "logistic"]
    assert run("linear", *words) == 2
    assert "; files are relative to lists, or to --audio-root" in capsys.readouterr().err
    assert run("linear", *words, "--audio-root", ".") == 0
    assert len(read_all(corpus / "runs/scores")) == 1


def test_second_run_reads_the_cache(corpus, bundle, calls):
    words = ["--encoder", bundle, "--manifest", "manifest.csv", *QUICK]
    assert run("linear", *words) == 0
    assert sum(n_clips for n_clips, _ in calls) == 12
    calls.clear()
    assert run("linear", *words, "--out", "again") == 0
    assert not calls
    first, again = read_all(corpus / "runs/scores"), read_all(corpus / "again")
    assert [record["scores"] for record in first] == [record["scores"] for record in again]


def test_other_weights_share_no_cache_entry(corpus, bundle, calls):
    embeddings = []
    for word in (bundle, f"untrained:{bundle}:0", f"untrained:{bundle}:1"):
        words = ["--encoder", word, "--manifest", "manifest.csv", "--out", "e.npy"]
        assert run("embed", *words) == 0
        embeddings.append(np.load("e.npy"))
        assert run("embed", *words, "--cache", "other cache") == 0
        assert np.array_equal(np.load("e.npy"), embeddings[-1])
    assert sum(n_clips for n_clips, _ in calls) == 3 * 2 * 12
    assert len(list((corpus / "runs/cache").iterdir())) == 3
    assert np.abs(embeddings[1] - embeddings[2]).max() > 1e-3


def test_dry_run_writes_nothing_and_tells_what_is_cached(corpus, bundle, ensemble, calls, capsys):
    before = files_below(corpus)
    words = ["--manifest", "manifest.csv", "--dry-run", *QUICK]
    assert run("linear", "--encoder", bundle, "log-mel-statistics", *words) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{bundle} (8000 Hz, 64-dimensional, ")
    assert first.endswith("12 clips, 0 of them cached; 4 probes by protocol evar")
    assert second.startswith("log-mel-statistics (16000 Hz, 128-dimensional, ")
    assert run("fusion", "--encoder", f"{bundle}[conv1,fc2]", *words) == 0
    scene, layers, fused = capsys.readouterr().out.splitlines()
    assert scene == first
    assert "6 layers" in layers
    assert layers.endswith("24 probes by protocol evar")
    assert fused.startswith(f"{bundle}[conv1,fc2] (")
    assert run("ensemble", "--encoder", ensemble, *words) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert not calls
    assert files_below(corpus) == before
    assert run("linear", "--encoder", bundle, *words[:2], "--protocol", "logistic") == 0
    capsys.readouterr()
    assert run("linear", "--encoder", bundle, *words[:3], "--protocol", "logistic") == 0
    assert "12 clips, 12 of them cached; 1 probes by protocol logistic" in capsys.readouterr().out


def test_a_misspelt_encoder_is_told_before_anything_is_done(corpus, bundle, capsys):
    words = ["--encoder", bundle, "vgish:file.pth", "--manifest", "manifest.csv"]
    assert run("linear", *words) == 2
    assert "did you mean 'vggish'" in capsys.readouterr().err
    assert not (corpus / "runs").exists()
    (corpus / "typo.yaml").write_text("encoder: hubbert\nweights: folder\n")
    assert run("linear", "--encoder", bundle, "typo.yaml", "--manifest", "manifest.csv") == 2
    assert "did you mean 'hubert'" in capsys.readouterr().err
    assert not (corpus / "runs").exists()


def test_one_failure_stops_nothing_else(corpus, bundle, capsys):
    words = ["--encoder", "vggish:nowhere.pth", bundle, "--manifest", "manifest.csv"]
    words += ["--protocol", "logistic"]
    assert run("linear", *words, "--dry-run") == 2
    told = capsys.readouterr()
    assert "nowhere.pth" in told.err
    assert f"{bundle} (8000 Hz" in told.out
    assert not (corpus / "runs").exists()
    assert run("linear", *words) == 2
    failed, good = sorted(read_all(corpus / "runs/scores"), key=lambda record: record["status"])
    assert good["encoder"]["name"] == str(bundle)
    assert failed["encoder"] == {"name": "vggish:nowhere.pth", "sha256": None}
    assert (failed["protocol"], failed["scores"]) == ("logistic", {})
    assert failed["error"].startswith("FileNotFoundError: ")
    assert "Traceback" not in capsys.readouterr().err


def test_a_fault_of_the_code_is_recorded_with_a_traceback(corpus, bundle, capsys, monkeypatch):
    def fails(self, waveform):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(AudioEncoder, "scene", fails)
    words = ["--encoder", bundle, "log-mel-statistics", "--manifest", "manifest.csv"]
    assert run("linear", *words, "--protocol", "logistic") == 2
    by_status = {record["status"]: record for record in read_all(corpus / "runs/scores")}
    assert by_status["failed"]["error"] == "RuntimeError: out of memory"
    assert by_status["failed"]["encoder"]["sha256"] == content_hash(load_encoder(bundle))
    assert by_status["ok"]["encoder"]["name"] == "log-mel-statistics"
    assert "Traceback" in capsys.readouterr().err


def test_a_user_can_interrupt(corpus, bundle, monkeypatch, capsys):
    def interrupted(self, waveform):
        raise KeyboardInterrupt

    monkeypatch.setattr(AudioEncoder, "scene", interrupted)
    assert evaluate.main(["linear", "--encoder", str(bundle), "--manifest", "manifest.csv"]) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert not (corpus / "runs/scores").exists()


LEAKING = """file,label,split,group
0.wav,low,train,tape 1
1.wav,high,train,tape 2
2.wav,low,test,tape 1
3.wav,high,test,tape 3
"""
UNKNOWN_LABEL = "file,label,split\n0.wav,low,train\n1.wav,high,train\n2.wav,other,test\n"
UNKNOWN_SPLIT = "file,label,split\n0.wav,low,train\n1.wav,high,dev\n"
EMPTY_SPLIT = "file,label,split\n0.wav,low,train\n1.wav,high,train\n"
MISSING_FILE = "file,label,split\n0.wav,low,train\n99.wav,high,test\n"
SEVERAL_LABELS = "file,labels,split\n0.wav,low;long,train\n1.wav,high,train\n2.wav,low,test\n"


@pytest.mark.parametrize("more", [["--dry-run"], []])
@pytest.mark.parametrize(
    ("manifest", "protocol", "message"),
    [
        (LEAKING, "evar", "row 4, column 'group': leaking group 'tape 1', in split test here"),
        (UNKNOWN_LABEL, "evar", "labels without a training clip: ['other']"),
        (UNKNOWN_LABEL, "logistic", "labels without a training clip: ['other']"),
        (UNKNOWN_SPLIT, "evar", "row 3, column 'split': unknown split 'dev', not one of train"),
        (EMPTY_SPLIT, "evar", "no clip in split 'test'"),
        (EMPTY_SPLIT, "logistic", "no clip in split 'test'"),
        (MISSING_FILE, "evar", "no such file: 99.wav"),
        (SEVERAL_LABELS, "logistic", "use one of the protocols evar, diff24"),
    ],
)
def test_bad_manifests(corpus, bundle, capsys, calls, manifest, protocol, message, more):
    Path("bad.csv").write_text(manifest)
    words = ["--encoder", bundle, "--manifest", "manifest.csv", "bad.csv", "--protocol", protocol]
    assert run("linear", *words, *more) == 2
    error = capsys.readouterr().err
    assert error.startswith("evaluate.py: bad.csv: ")
    assert message in error
    assert not calls  # of the good one neither
    assert not (corpus / "runs").exists()


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("was run",)


def weights(kind):
    """A file that is not what its word in `test_bad_encoders` says."""
    if kind == "hostile":
        return {"conv1.weight": torch.ones(1), "bad": Hostile()}
    if kind == "rate":  # CNN14 with the mel bank of 16 kHz; one stored number for each tensor
        with torch.device("meta"):
            shapes = Cnn14().state_dict()
        tensors = {n: torch.zeros((), dtype=v.dtype).expand(v.shape) for n, v in shapes.items()}
        return tensors | {"logmel_extractor.melW": Cnn14LogMel(16_000).mel_bank.T}
    return AudioNTT2020(dim=64).state_dict()


@pytest.mark.parametrize(
    ("verb", "word", "content", "message"),
    [
        ("linear", "crep", None, "names no encoder"),
        ("linear", "untrained:Nothing:64", None, "neither a bundle nor one of"),
        ("linear", "untrained:AudioNTT2020", None, "lacks a width"),
        ("linear", "no/such/bundle", None, "nothing at no/such/bundle: give a bundle folder"),
        ("linear", "no/such.yaml", None, "no configuration of an encoder at no/such.yaml"),
        ("linear", "log-mel-statistics[conv9]", None, "no layer conv9: the encoder has log_mel"),
        ("linear", "cnn14:FILE", None, "Cnn14_16k_mAP=0.438.pth"),
        ("linear", "byola:FILE", "hostile", "plain tensors"),
        ("linear", "vggish:FILE", "other", "a file of another architecture?"),
        ("linear", "cnn14-32k:FILE", "rate", "it is of the 16000 Hz model"),
        ("fusion", "log-mel-statistics", None, "fuses nothing: add some of its layers"),
        ("ensemble", "log-mel-statistics", None, "no ensemble: give a YAML file"),
    ],
)
def test_bad_encoders(corpus, capsys, verb, word, content, message):
    if content:
        torch.save(weights(content), "weights.pth")
    word = word.replace("FILE", "weights.pth")
    for more in (["--dry-run"], []):
        assert run(verb, "--encoder", word, "--manifest", "manifest.csv", *more) == 2
        error = capsys.readouterr().err
        assert message in error
        assert "Traceback" not in error
    assert not Path("was run").exists()
    if word in (
        "crep",
        "no/such/bundle",
        "no/such.yaml",
    ):  # known to be wrong before anything is done
        assert not (corpus / "runs").exists()
        return
    [record] = read_all(corpus / "runs/scores")
    assert message in record["error"]


def test_corrupt_audio(corpus, bundle, capsys):
    Path("3.wav").write_bytes(b"")
    Path("5.wav").write_bytes(b"RIFF, then nothing")
    assert run("linear", "--encoder", bundle, "--manifest", "manifest.csv", *QUICK) == 2
    error = capsys.readouterr().err
    assert "2 of 12 clips can't be read; mend them or drop their rows:" in error
    assert "3.wav: empty" in error
    assert "5.wav" in error
    [record] = read_all(corpus / "runs/scores")
    assert "2 of 12 clips" in record["error"]


def test_encoder_that_gives_nan(corpus, capsys, monkeypatch):
    monkeypatch.setattr(LogMelStatistics, "_pool", lambda self, frames: frames.mean(1) * np.nan)
    words = ["--encoder", "log-mel-statistics", "--manifest", "manifest.csv"]
    assert run("linear", *words, *QUICK) == 2
    assert "NaN or infinite values for " in capsys.readouterr().err
    assert "check its weights" in read_all(corpus / "runs/scores")[0]["error"]


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("../outside", tarfile.REGTYPE, "its path has '..'"),
        ("/tmp/outside", tarfile.REGTYPE, "its path is absolute"),
        ("inside", tarfile.SYMTYPE, "a link or device"),
    ],
)
def test_hostile_archive(tmp_path, capsys, name, kind, message):
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, "/etc/passwd", 4 * (kind == tarfile.REGTYPE)
    with tarfile.open(tmp_path / "task.tar.gz", "w:gz") as tar:
        tar.addfile(member, io.BytesIO(b"text"))
    words = ["--encoder", "log-mel-statistics", "--task", tmp_path / "task.tar.gz"]
    assert run("hear", *words, "--cache", tmp_path / "cache", "--out", tmp_path / "out") == 2
    assert message in capsys.readouterr().err
    assert files_below(tmp_path) == [tmp_path / "task.tar.gz"]


@pytest.mark.parametrize(
    ("verb", "option", "word"),
    [
        ("linear", "--device", "cuda:99"),
        ("linear", "--batch-size", "0"),
        ("linear", "--learning-rates", "nan"),
        ("linear", "--learning-rates", "-1e-3"),
        ("additivity", "--duration-s", "none"),
        ("embed", "--out", "embeddings.csv"),
    ],
)
def test_values_that_can_not_be_used(capsys, verb, option, word):
    with pytest.raises(SystemExit) as stop:
        run(verb, "--encoder", "crepe", "--manifest", "manifest.csv", f"{option}={word}")
    assert stop.value.code == 2
    assert f"argument {option}: '{word}'" in capsys.readouterr().err


def test_logistic_regression_takes_no_rates(corpus, capsys):
    words = ["--encoder", "log-mel-statistics", "--manifest", "manifest.csv"]
    assert run("linear", *words, "--protocol", "logistic", "--seeds", "0") == 2
    assert "no learning rate and no seed" in capsys.readouterr().err


def test_only_the_verb_with_archives_speaks_of_them(capsys):
    for verb in VERBS:
        with pytest.raises(SystemExit):
            run(verb, "--help-all")
        told = " ".join(capsys.readouterr().out.split())
        assert ("Archives are unpacked into the cache" in told) == (verb == "hear"), verb


def test_help_has_an_example_for_each_verb(capsys):
    for verb in VERBS:
        with pytest.raises(SystemExit):
            run(verb, "--help")
        out = capsys.readouterr().out
        example = out.splitlines()[-1].split()
        assert example[:3] == ["python", "evaluate.py", verb]
        assert {word for word in example if word.startswith("--")} <= set(re.findall(r"--\S+", out))
    with pytest.raises(SystemExit):
        evaluate.main(["--help"])
    assert set(re.findall(r"^    (\w+)", capsys.readouterr().out, re.M)) >= set(VERBS)


@pytest.mark.skipif("BYOLA_DIFF_ESC10" not in os.environ, reason="needs BYOLA_DIFF_ESC10")
def test_real_sounds(tmp_path):
    manifest = Path(os.environ["BYOLA_DIFF_ESC10"]) / "manifest.csv"
    words = ["--encoder", "log-mel-statistics", "--manifest", manifest, "--protocol", "logistic"]
    assert run("linear", *words, "--cache", tmp_path / "cache", "--out", tmp_path / "out") == 0
    [record] = read_all(tmp_path / "out")
    assert len(record["scores"]["accuracy"]["values"]) == 5
    assert 0.6 < record["scores"]["accuracy"]["mean"] < 1
