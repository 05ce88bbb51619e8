import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from byola_diff.audio.files import AudioFileError, write_wav
from byola_diff.command_line import read_options
from byola_diff.evaluation.retrieval.search_run import SearchOptions, search
from byola_diff.models import bundle
from byola_diff.models.cnn import AudioNTT2020
from byola_diff.storage import sealed_json
from tests.evaluation.retrieval.retrieval_cases import RATE, write_tone_pairs
from tests.evaluation.retrieval.test_run import QUICK, WORD, run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("search")
    write_tone_pairs(root)
    assert run(root, *QUICK) == 0
    return root


def system_of(root):
    return next((root / "systems").glob("*/seed_1"))


def search_in(root, *words, system=None, **changes):
    given = ["--system", str(system or system_of(root)), "--folder", str(root / "wav")]
    given += ["--query", str(root / "wav/rain_00_s1.wav"), "--text", "add a beep"]
    given += ["--out", str(root / "page.html"), *words]
    options = read_options(SearchOptions, given, prog="search", description=None)
    common = {"device": torch.device("cpu"), "precision": "auto", "batch_size": 8, "workers": 1}
    more = {"cache": root / "cache", "dry_run": False}
    return search(replace(options, **common | more | changes))


def places(text):
    """Place, cosine and file of each printed line."""
    return [
        (int(found[1]), float(found[2]), found[3])
        for found in re.finditer(r"^ +(\d+) +(-?\d\.\d+) +(\S+)$", text, re.MULTILINE)
    ]


def test_a_page_that_needs_nothing_else(trained, capsys):
    assert search_in(trained, "--top", "4") == 0
    found = places(capsys.readouterr().out)
    assert [place for place, _, _ in found] == [1, 2, 3, 4]
    cosines = [cosine for _, cosine, _ in found]
    assert cosines == sorted(cosines, reverse=True)
    page = (trained / "page.html").read_text(encoding="utf-8")
    assert page.count("<audio") == 5  # the query and four files
    assert page.count("<img") == 5
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert captions == [
        "<b>“add a beep”</b><br>rain_00_s1.wav",
        *(f"<b>Place {n}, cosine {cosine:.3f}</b><br>{file}" for n, cosine, file in found),
    ]
    assert re.findall(r"<h2>(.*?)</h2>", page) == ["Query", "Found", "Scores"]
    assert [page[: page.index("<table>")].count(word) for word in ("<figure>", 'sounds">')] == [
        5,
        2,
    ]
    assert "of 31 files" in page  # the query itself is one of 32
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "rain_00_s1.wav" not in [file for _, _, file in found]


def test_the_text_decides_among_others(trained, capsys):
    found = []
    for text in ("add a beep", "remove the beep", "Add a BEEP!"):
        search_in(trained, "--top", "3", "--text", text)
        found.append(places(capsys.readouterr().out))
    assert found[0] != found[1]
    assert found[0] == found[2]


def test_scores_are_those_of_the_system(trained, tmp_path, capsys):
    """A file that is a copy of the best match has its score, wherever it lies."""
    search_in(trained, "--top", "1")
    ((_, cosine, file),) = places(capsys.readouterr().out)
    (tmp_path / "deep").mkdir()
    shutil.copy(trained / "wav" / file, tmp_path / "deep/copy.wav")
    search_in(trained, "--folder", str(tmp_path))
    assert places(capsys.readouterr().out) == [(1, cosine, "deep/copy.wav")]


def test_unreadable_files_are_left_out_and_counted(trained, tmp_path, capsys):
    write_wav(tmp_path / "good.wav", np.ones(800) / 2, RATE)
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    (tmp_path / "empty.flac").touch()
    assert search_in(trained, "--folder", str(tmp_path)) == 0
    out = capsys.readouterr().out
    assert [file for _, _, file in places(out)] == ["good.wav"]
    assert "2 files could not be read" in out
    page = (trained / "page.html").read_text(encoding="utf-8")
    assert "2 files could not be read" in page
    assert "empty.flac" in page


def test_nothing_to_search(trained, tmp_path):
    with pytest.raises(ValueError, match="no audio files to search"):
        search_in(trained, "--folder", str(tmp_path))
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    with pytest.raises(ValueError, match=r"none of the 1 files .* can be read, such as bad\.wav"):
        search_in(trained, "--folder", str(tmp_path))
    with pytest.raises(NotADirectoryError):
        search_in(trained, "--folder", str(tmp_path / "nowhere"))


def test_a_query_that_can_not_be_read(trained, tmp_path):
    with pytest.raises(AudioFileError, match=r"gone\.wav"):
        search_in(trained, "--query", str(tmp_path / "gone.wav"))


def test_a_text_without_words(trained):
    with pytest.raises(ValueError, match="has no words"):
        search_in(trained, "--text", "...")


@pytest.mark.slow
def test_words_that_the_system_never_saw_are_named(trained, capsys):
    assert search_in(trained, "--text", "remove the beep and add a Frobnicator") == 0
    warning = "trained without the words frobnicator: to a bag of words they mean nothing"
    assert warning in capsys.readouterr().err
    assert warning in (trained / "page.html").read_text()
    assert search_in(trained, "--text", "remove the beep") == 0
    assert "trained without" not in capsys.readouterr().err
    assert "trained without" not in (trained / "page.html").read_text()


@pytest.mark.slow
def test_systems_of_before_words_were_kept_can_be_searched_with(trained, tmp_path, capsys):
    system = Path(shutil.copytree(system_of(trained), tmp_path / "system"))
    about = json.loads((system / "system.json").read_text())
    assert about.pop("words") == ["a", "add", "beep", "remove", "the"]
    del about["file_sha256"], about["statistics"]
    (system / "system.json").write_text(json.dumps(about | {"format": 1}))
    assert search_in(trained, "--text", "frobnicate", system=system) == 0
    assert "trained without" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (("--query", "gone.wav"), AudioFileError, r"gone\.wav"),
        (("--text", "..."), ValueError, "has no words"),
    ],
)
def test_a_dry_run_checks_query_and_text(trained, words, error, message):
    with pytest.raises(error, match=message):
        search_in(trained, *words, dry_run=True)


def test_another_encoder_is_refused(trained):
    assert search_in(trained, "--encoder", WORD, "--top", "1") == 0
    with pytest.raises(ValueError, match=r"was trained with log-mel-statistics of content .{8}, a"):
        search_in(trained, "--encoder", "untrained:AudioNTT2020:64")


def altered(root, tmp_path, **changes):
    folder = Path(shutil.copytree(system_of(root), tmp_path / "system"))
    about = json.loads((folder / "system.json").read_text())
    del about["file_sha256"]
    (folder / "system.json").write_text(sealed_json(about | changes))
    return folder


def test_an_encoder_that_is_not_found_by_its_name(trained, tmp_path):
    system = altered(trained, tmp_path, encoder="my ensemble")
    with pytest.raises(ValueError, match=r"'my ensemble', which can't be opened .* by --encoder"):
        search_in(trained, system=system)
    assert search_in(trained, "--encoder", WORD, "--top", "1", system=system) == 0


@pytest.mark.parametrize(
    "named", ["hear:named_by_a_file", "python:named_by_a_file:load[2]", "encoder.yaml", "both.yaml"]
)
def test_no_code_runs_that_the_files_of_a_system_name(trained, tmp_path, monkeypatch, named):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "named_by_a_file", raising=False)
    (tmp_path / "named_by_a_file.py").write_text("open('ran', 'w').close()\n")
    (tmp_path / "encoder.yaml").write_text("encoder: hear\nweights: named_by_a_file\n")
    members = "[{encoder: log-mel-statistics}, {encoder: 'python:named_by_a_file:load'}]"
    (tmp_path / "both.yaml").write_text(f"ensemble: {{members: {members}, combine: concat}}\n")
    system = altered(trained, tmp_path, encoder=named)
    with pytest.raises(
        ValueError, match=r"runs only if you name it\. Say where it is by --encoder"
    ):
        search_in(trained, system=system)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(ValueError, match=r"content .{8}, and hear:.* can't be opened.*is no HEAR"):
        search_in(trained, "--encoder", "hear:named_by_a_file", system=system)
    assert (tmp_path / "ran").exists()


def test_nothing_is_fetched_that_the_files_of_a_system_name(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "fetch_bundle", lambda word: pytest.fail(f"{word} was fetched"))
    system = altered(trained, tmp_path, encoder="hf:someone/encoder[conv1]")
    with pytest.raises(ValueError, match=r"fetched only if you name it\. Say where it is"):
        search_in(trained, system=system)


def test_another_text_encoder_is_refused(trained, tmp_path):
    system = altered(trained, tmp_path, text_encoder_sha256="0" * 64)
    with pytest.raises(ValueError, match="is not the text encoder that the system was trained"):
        search_in(trained, system=system)


@pytest.mark.slow
def test_a_system_has_the_statistics_of_its_encoder(tmp_path, monkeypatch):
    """Released weights come without; a search needs neither the pairs nor their clips again."""
    torch.save(AudioNTT2020(dim=64).state_dict(), tmp_path / "w.pth")
    word = f"byola:{tmp_path / 'w.pth'}"
    monkeypatch.setattr("tests.evaluation.retrieval.test_run.WORD", word)
    write_tone_pairs(tmp_path, n_train=4, n_test=1)
    assert run(tmp_path, "--epochs", "1", "--seeds", "1") == 0
    system = system_of(tmp_path)
    old = json.loads((system / "system.json").read_text())
    [[mean, deviation]] = old.pop("statistics")
    assert mean < 0 < deviation
    pairs = (tmp_path / "pairs.csv").rename(tmp_path / "moved.csv")
    assert search_in(tmp_path, "--top", "1") == 0
    del old["file_sha256"]  # as format 1, which took them of the pairs again
    (system / "system.json").write_text(json.dumps(old | {"format": 1}))
    with pytest.raises(ValueError, match=r"byola:.*can't be opened here.*without normalisation st"):
        search_in(tmp_path)
    pairs.rename(tmp_path / "pairs.csv")
    assert search_in(tmp_path, "--top", "1") == 0


def test_a_dry_run_writes_nothing(trained, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert search_in(trained, dry_run=True, out=page) == 0
    assert "31 files to search" in capsys.readouterr().out
    assert not page.exists()


def test_long_files_are_cut_on_the_page(trained, tmp_path):
    rng = np.random.default_rng(0)
    write_wav(tmp_path / "long.wav", 0.1 * rng.standard_normal(31 * 800), 800)
    assert search_in(trained, "--folder", str(tmp_path)) == 0
    page = (trained / "page.html").read_text(encoding="utf-8")
    assert "long.wav (the first 30 s)" in page
