import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent / "evaluation"))

from corpus import RATE, write_corpus

import evaluate
from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.evaluation.encoders import (
    content_hash,
    manifest_statistics,
    open_encoder,
    untrained_like,
)
from byola_diff.evaluation.reading import read_clip
from byola_diff.models.bundle import load_encoder, write_bundle
from byola_diff.models.cnn import AudioNTT2020
from byola_diff.models.encoder import AudioEncoder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "small"
    torch.manual_seed(0)
    front_end = LogMel(sample_rate=RATE, f_max_hz=4000.0)
    encoder = AudioEncoder(front_end, Normalize(-5.0, 4.0), AudioNTT2020(dim=64))
    write_bundle(folder, encoder, training={})
    return folder


def _record(folder):
    [path] = folder.glob("*.json")
    return json.loads(path.read_text())


def test_linear_by_split(tmp_path, bundle, capsys):
    write_corpus(tmp_path, n_clips=18)
    words = ["--encoder", str(bundle), "--manifest", str(tmp_path / "manifest.csv")]
    assert evaluate.main(["linear", *words, "--out", str(tmp_path / "scores")]) == 0
    record = _record(tmp_path / "scores")
    assert record["protocol"] == "linear"
    assert record["encoder"]["sha256"] == content_hash(load_encoder(bundle))
    score = record["scores"]["accuracy"]
    assert score["values"] == {"test": score["mean"]}
    assert score["ci95"] is None
    assert score["mean"] == 1.0  # tones an octave apart and more
    assert "accuracy 1.0000" in capsys.readouterr().out


def test_linear_by_folds_for_two_encoders(tmp_path, bundle, capsys):
    write_corpus(tmp_path, n_clips=18, column="fold")
    encoders = f"{bundle},untrained:{bundle}"
    words = ["--encoder", encoders, "--manifest", str(tmp_path / "manifest.csv")]
    assert evaluate.main(["linear", *words, "--out", str(tmp_path / "scores")]) == 0
    records = [json.loads(path.read_text()) for path in (tmp_path / "scores").glob("*.json")]
    assert len(records) == 2
    for record in records:
        values = record["scores"]["accuracy"]["values"]
        assert list(values) == ["fold 1", "fold 2", "fold 3"]
        assert record["scores"]["accuracy"]["mean"] == pytest.approx(sum(values.values()) / 3)
    assert capsys.readouterr().out.count("±") == 2


def test_additivity(tmp_path, bundle):
    words = ["--encoder", str(bundle), "--events", "12", "--seeds", "0", "1"]
    options = ["--duration-s", "0.5", "--out", str(tmp_path)]
    assert evaluate.main(["additivity", *words, *options]) == 0
    scores = _record(tmp_path)["scores"]
    assert -1 <= scores["cosine"]["mean"] <= 1
    assert list(scores["recall@1"]["values"]) == ["seed 0", "seed 1"]


def test_embed(tmp_path, bundle):
    write_corpus(tmp_path)
    words = ["--encoder", str(bundle), "--manifest", str(tmp_path / "manifest.csv")]
    assert evaluate.main(["embed", *words, "--out", str(tmp_path / "embeddings.npy")]) == 0
    embeddings = np.load(tmp_path / "embeddings.npy")
    assert embeddings.shape == (12, 64)
    assert embeddings.dtype == np.float32


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["linear", "--encoder", "untrained:Nothing:64"], "neither a bundle nor one of"),
        (["linear", "--encoder", "untrained:AudioNTT2020"], "lacks a width"),
        (["linear", "--encoder", "untrained:AudioNTT2020:wide"], "one whole number"),
        (["linear", "--encoder", "no/such/bundle"], "no/such/bundle"),
        (["embed", "--encoder", "a,b", "--out", "x.npy"], "one encoder"),
    ],
)
def test_bad_encoders_end_with_status_2(tmp_path, capsys, words, message):
    write_corpus(tmp_path)
    assert evaluate.main([*words, "--manifest", str(tmp_path / "manifest.csv")]) == 2
    assert message in capsys.readouterr().err


def test_bad_manifests_end_with_status_2(tmp_path, bundle, capsys):
    path = tmp_path / "manifest.csv"
    assert evaluate.main(["linear", "--encoder", str(bundle), "--manifest", str(path)]) == 2
    write_corpus(tmp_path)
    path.write_text(path.read_text().replace("high,test", "other,test"))
    assert evaluate.main(["linear", "--encoder", str(bundle), "--manifest", str(path)]) == 2
    assert "without a training clip: ['other']" in capsys.readouterr().err


def test_manifests_are_refused_before_anything_is_embedded(tmp_path, bundle, capsys, monkeypatch):
    write_corpus(tmp_path)
    path = tmp_path / "manifest.csv"
    path.write_text(path.read_text().replace(",test", ",train"))
    monkeypatch.setattr(evaluate, "embed_clips", None)
    assert evaluate.main(["linear", "--encoder", str(bundle), "--manifest", str(path)]) == 2
    assert "no clip in split 'test'" in capsys.readouterr().err


def test_unreadable_clips_end_with_status_2(tmp_path, capsys):
    manifest = write_corpus(tmp_path)
    for clip in manifest.clips:
        manifest.path(clip).write_bytes(b"")
    words = ["--encoder", "untrained:AudioNTT2020:64", "--manifest", str(tmp_path / "manifest.csv")]
    assert evaluate.main(["linear", *words]) == 2
    assert "empty: 0 bytes" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "word"), [("--device", "cuda:99"), ("--batch-size", "0")])
def test_options_that_can_not_be_used(bundle, capsys, option, word):
    with pytest.raises(SystemExit):
        evaluate.main(["additivity", "--encoder", str(bundle), option, word])
    assert f"argument {option}: '{word}'" in capsys.readouterr().err


def test_help_has_an_example_for_each_verb(capsys):
    for verb in ("linear", "additivity", "embed"):
        with pytest.raises(SystemExit):
            evaluate.main([verb, "--help"])
        assert f"example: python evaluate.py {verb}" in capsys.readouterr().out


def test_untrained_encoders_depend_on_the_seed_alone(tmp_path, bundle):
    manifest = write_corpus(tmp_path)
    state = torch.random.get_rng_state()
    first = open_encoder("untrained:AudioNTT2020:64", manifest)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(99)
    assert open_encoder("untrained:AudioNTT2020:64:0", manifest).content_hash == first.content_hash
    assert open_encoder("untrained:AudioNTT2020:64:1", manifest).content_hash != first.content_hash
    trained = load_encoder(bundle)
    like = untrained_like(trained, seed=0)
    assert like.normalize.mean == trained.normalize.mean
    assert content_hash(like) == open_encoder(f"untrained:{bundle}").content_hash
    assert content_hash(like) != content_hash(trained)


def test_statistics_are_those_of_the_training_clips(tmp_path):
    manifest = write_corpus(tmp_path)
    front_end = LogMel(sample_rate=RATE, f_max_hz=4000.0)
    mean, std = manifest_statistics(manifest, front_end)
    clips = [read_clip(manifest, clip, RATE) for clip in manifest.in_split("train")]
    values = torch.cat([front_end(clip[None]).flatten() for clip in clips])
    assert mean == pytest.approx(values.mean().item(), abs=1e-3)
    assert std == pytest.approx(values.std(correction=0).item(), abs=1e-3)
