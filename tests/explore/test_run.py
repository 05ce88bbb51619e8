import base64
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from byola_diff.audio.files import write_wav
from byola_diff.command_line import read_options
from byola_diff.commands import explore as command
from byola_diff.encoders.open import open_encoder
from byola_diff.evaluation.jobs import embed_whole
from byola_diff.evaluation.retrieval.search_run import audio_encoder_of, text_encoder_of
from byola_diff.evaluation.retrieval.system import load_system
from byola_diff.explore import run as run_module
from byola_diff.explore.clips import clips_of
from byola_diff.explore.run import ExploreOptions, explore, previews_of
from byola_diff.explore.serve import PageServer
from byola_diff.explore.texts import texts_of
from byola_diff.explore.vectors import page_vectors
from tests.evaluation.retrieval.retrieval_cases import write_tone_pairs
from tests.evaluation.retrieval.test_run import QUICK
from tests.evaluation.retrieval.test_run import run as train_retrieval

pytest.importorskip("bokeh")

RATE = 16_000


def write_tones(folder, names=("low/a.wav", "low/b.wav", "high/c.wav", "high/d.wav", "e.wav")):
    """Noise in bands: those of one folder are alike."""
    generator = np.random.default_rng(0)
    for number, name in enumerate(names):
        hz = {"low": 300, "high": 4000}.get(name.split("/")[0], 1200)
        time_s = np.arange(RATE // 2) / RATE
        tone = 0.3 * np.sin(2 * np.pi * (hz + 5 * number) * time_s)
        write_wav(folder / name, tone + generator.normal(0, 1e-3, len(time_s)), RATE)
    return folder


def options_for(tmp_path, *words):
    given = [str(tmp_path / "sounds"), "--out", str(tmp_path / "out/page.html")]
    given += ["--cache", str(tmp_path / "cache"), "--encoder", "mean-power", "--workers", "1"]
    return read_options(ExploreOptions, [*given, *words], prog="explore", description=None)


def content(tmp_path):
    html = (tmp_path / "out/page.html").read_text(encoding="utf-8")
    return html, json.loads(re.search(r'id="data">(.*?)</script>', html)[1])


def numbers(text, columns):
    return np.frombuffer(base64.b64decode(text), "<i2").reshape(-1, columns).astype(float)


def test_a_page_of_a_folder(tmp_path, capsys):
    write_tones(tmp_path / "sounds")
    assert explore(options_for(tmp_path)) == 0
    html, data = content(tmp_path)
    assert data["names"] == ["e.wav", "c.wav", "d.wav", "a.wav", "b.wav"]
    assert data["durations"] == [0.5] * 5
    assert (data["links"], data["isServed"], data["labels"]) == ([], False, [])
    vectors = numbers(data["vectors"], data["dim"])
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = units @ units.T - 2 * np.eye(5)
    assert alike.argmax(axis=1)[1:].tolist() == [2, 1, 4, 3]
    assert html.count('id="sound-') == html.count('id="picture-') == 5
    assert "<title>Sounds of sounds</title>" in html
    assert "mean-power" in html
    assert str(tmp_path) not in html
    told = capsys.readouterr()
    assert f"{tmp_path}/out/page.html, 5 clips" in told.out
    assert "previews" not in told.err  # no bar where nobody watches


def test_the_same_folder_gives_the_same_bytes(tmp_path):
    write_tones(tmp_path / "sounds")
    explore(options_for(tmp_path, "--workers", "1"))
    first = (tmp_path / "out/page.html").read_bytes()
    shutil.rmtree(tmp_path / "cache")
    explore(options_for(tmp_path, "--workers", "3", "--batch-size", "2"))
    assert (tmp_path / "out/page.html").read_bytes() == first


def test_labels_and_links(tmp_path):
    write_tones(tmp_path / "sounds")
    table = tmp_path / "labels.csv"
    table.write_text("file,label,start_s,duration_s\nsounds/low/a.wav,<i>low</i>,0.1,0.2\n")
    explore(options_for(tmp_path, "--labels", str(table), "--inside-mb", "0"))
    html, data = content(tmp_path)
    assert data["labels"] == ["<i>low</i>"]
    assert data["label"] == [-1, -1, -1, 0, -1]
    assert data["starts"] == [None, None, None, 0.1, None]
    assert data["links"][3] == "./../sounds/low/a.wav#t=0.1,0.3"
    assert 'id="sound-' not in html
    assert 'id="picture-' not in html
    assert "must stay where they are" in html


@pytest.mark.parametrize(("room", "n_pictures", "n_sounds"), [(0, 0, 0), (1, 5, 0), (2, 5, 5)])
def test_what_fits_is_inside_pictures_before_sounds(tmp_path, room, n_pictures, n_sounds):
    manifest = clips_of(write_tones(tmp_path / "sounds"))
    every = previews_of(manifest, 10**9, 1)
    pictures, sounds = (4 / 3 * sum(map(len, each)) for each in (every.pictures, every.sounds))
    most = [pictures - 1, pictures + sounds - 1, pictures + sounds][room]
    found = previews_of(manifest, int(np.ceil(most)) - (room < 2), 2)
    assert (len(found.pictures), len(found.sounds)) == (n_pictures, n_sounds)
    assert found.durations_s == every.durations_s == [0.5] * 5


def test_what_cannot_be_read_is_left_out_and_said(tmp_path, capsys):
    write_tones(tmp_path / "sounds")
    (tmp_path / "sounds/<b>.wav").write_bytes(b"RIFF no")
    assert explore(options_for(tmp_path)) == 0
    html, data = content(tmp_path)
    assert len(data["names"]) == 5
    assert "1 files could not be read and are left out: &lt;b&gt;.wav (" in html
    assert "warning: 1 files could not be read" in capsys.readouterr().err
    for path in (tmp_path / "sounds").rglob("?.wav"):
        path.unlink()
    with pytest.raises(ValueError, match="none of the 1 files in"):
        explore(options_for(tmp_path))


def test_no_reason_tells_where_the_folder_lies(tmp_path):
    pytest.importorskip("av")
    write_tones(tmp_path / "sounds")
    (tmp_path / "sounds/broken.m4a").write_bytes(b"x" * 100)
    assert explore(options_for(tmp_path)) == 0
    html, _ = content(tmp_path)
    assert "left out: broken.m4a (unreadable: " in html
    assert str(tmp_path) not in html


def test_one_sound(tmp_path):
    write_tones(tmp_path / "sounds", ["a.wav"])
    assert explore(options_for(tmp_path)) == 0
    assert content(tmp_path)[1]["names"] == ["a.wav"]


def test_a_dry_run_writes_nothing(tmp_path, capsys):
    write_tones(tmp_path / "sounds")
    assert explore(options_for(tmp_path, "--dry-run")) == 0
    assert "mean-power: 5 clips, 0 of them cached" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--texts", "add rain"], "--system and --texts go together"),
        (["--system", "x"], "--system and --texts go together"),
        (["--inside-mb", "-1"], "--inside-mb must be at least 0"),
        (["--serve", "--port", "70000"], "--port must be from 1024 to 65535"),
        (["--serve", "--port", "80"], "--port must be from 1024 to 65535"),
        (["--serve", "--port", "-1"], "--port must be from 1024 to 65535"),
        (["--port", "8000"], "--port is where --serve serves the page"),
        (["--out", "."], "--out . is a folder"),
        (["--cluster", "auto", "--device", "meta"], "leave out --device"),
    ],
)
def test_options_that_are_refused(tmp_path, words, reason, capsys):
    with pytest.raises(SystemExit) as stopped:
        options_for(tmp_path, *words)
    assert stopped.value.code == 2
    assert reason in capsys.readouterr().err


def test_a_port_in_use_is_told_of_before_any_work(tmp_path, monkeypatch):
    write_tones(tmp_path / "sounds")
    monkeypatch.setattr(run_module, "embed_readable", pytest.fail)
    with PageServer(0) as other, pytest.raises(OSError, match="in use"):
        explore(options_for(tmp_path, "--serve", "--port", str(other.server_port)))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("byola-diff", "byola-diff"),
        ("/home/me/x/mine", "mine"),
        ("../x/mine/", "mine"),
        ("~/x/mine[1,2]", "mine[1,2]"),
        ("vggish[10]:/home/me/x.pth", "vggish[10]:x.pth"),
        ("python:models:load:weights/x.pth", "python:models:load:x.pth"),
        ("untrained:/home/me/mine:3", "untrained:mine:3"),
        ("hf:owner/name@main", "hf:owner/name@main"),
        ("untrained:hf:owner/name:3", "untrained:hf:owner/name:3"),
    ],
)
def test_no_folders_of_the_encoder_are_on_the_page(tmp_path, monkeypatch, word, expected):
    write_tones(tmp_path / "sounds", ["a.wav"])
    plain = open_encoder("mean-power", None)
    monkeypatch.setattr(run_module, "open_encoder", lambda *_: replace(plain, name=word))
    explore(options_for(tmp_path))
    html, _ = content(tmp_path)
    assert f"compared by {expected}: alike" in html
    assert f"embeddings of {expected} (" in html
    assert word == expected or word not in html


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert command.main([str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.startswith("byola-diff explore: no such folder: ")


def test_serving(tmp_path, monkeypatch, capsys):
    write_tones(tmp_path / "sounds")
    served = []

    def serve(server):
        served.append((server.page.decode(), server.sound(4), server.n_clips))
        server.server_close()

    monkeypatch.setattr(run_module, "serve_until_stopped", serve)
    explore(options_for(tmp_path, "--serve"))
    [(page, sound, n_clips)] = served
    assert n_clips == 5
    assert '"isServed":true' in page
    assert "Sounds are played whole, by the command that serves this page" in page
    assert "Sounds are inside" not in page
    assert "Sounds are inside the page" in content(tmp_path)[0]
    assert 'id="sound-' not in page
    assert page.count('id="picture-') == 5
    assert sound[:4] == b"RIFF"
    assert len(sound) == 44 + 2 * RATE // 2
    assert re.search(
        r"serving http://127\.0\.0\.1:\d+/\S+/ to this machine", capsys.readouterr().out
    )
    assert not content(tmp_path)[1]["isServed"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a trained system, and the sounds that it was trained on."""
    root = tmp_path_factory.mktemp("trained")
    write_tone_pairs(root)
    assert train_retrieval(root, *QUICK) == 0
    return root


def test_search_by_words_is_that_of_the_system(trained, tmp_path, capsys):
    system_folder = next((trained / "systems").glob("*/seed_1"))
    words = ["--system", str(system_folder), "--texts", "add a beep", "remove the flute"]
    options = replace(options_for(tmp_path, *words), folder=trained / "wav", encoder=None)
    assert explore(options) == 0
    html, data = content(tmp_path)
    assert data["texts"]["words"] == ["add a beep", "remove the flute"]
    assert "without the words flute" in html
    assert "without the words flute" in capsys.readouterr().err
    told = data["texts"]
    clips, texts = (numbers(told[name], told["dim"]) for name in ("clips", "latents"))
    query = clips[3] + texts[0]
    found = clips @ query / np.linalg.norm(clips, axis=1) / np.linalg.norm(query)

    system = load_system(system_folder)
    named = audio_encoder_of(system.about, None, "cpu")
    embeddings = embed_whole(named, clips_of(options.folder), options)
    wording = text_encoder_of(system.about, "cpu").embed(["add a beep"])
    expected = system.target(embeddings) @ system.query(embeddings[3:4], wording)[0]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-3)


def test_texts_that_are_refused(trained):
    system = load_system(next((trained / "systems").glob("*/seed_1")))
    with pytest.raises(ValueError, match="a text is given twice"):
        texts_of(system, ["add rain", "add rain"], "cpu")
    with pytest.raises(ValueError, match="has no words"):
        texts_of(system, ["?!"], "cpu")


def test_vectors_of_a_page_are_those_of_the_encoder(tmp_path):
    write_tones(tmp_path / "sounds")
    options = options_for(tmp_path)
    explore(options)
    named = open_encoder("mean-power", None)
    embeddings = embed_whole(named, clips_of(tmp_path / "sounds"), options)
    data = content(tmp_path)[1]
    np.testing.assert_array_equal(numbers(data["vectors"], data["dim"]), page_vectors(embeddings))
