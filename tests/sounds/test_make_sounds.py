"""The script that renders a labelled corpus, end to end."""

import csv
import hashlib
import wave
from collections import Counter

import pytest
import torch

from byola_diff.audio.files import read_audio
from byola_diff.clips.endless import ProceduralSource
from byola_diff.commands import make_sounds


@pytest.fixture(scope="module")
def script():
    return make_sounds


@pytest.fixture(scope="module")
def corpus(script, tmp_path_factory):
    out = tmp_path_factory.mktemp("corpus")
    script.main(arguments(out))
    return out


def arguments(out):
    options = "--clips 90 --duration-s 0.25 --sample-rate 8000 --test-share 0.34 --valid-share 0.34"
    return [str(out), *options.split(), *["--backgrounds", "4", "--background-duration-s", "1"]]


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def digests(out):
    return {
        path.relative_to(out): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file()
    }


def test_manifest_lists_the_files_balanced_over_classes_and_splits(corpus):
    manifest = rows(corpus / "manifest.csv")
    assert list(manifest[0]) == ["file", "label", "split", "group"]
    assert sorted(row["file"] for row in manifest) == sorted(
        str(path.relative_to(corpus)) for path in (corpus / "audio").rglob("*.wav")
    )
    assert set(Counter(row["label"] for row in manifest).values()) == {3}
    assert Counter(row["split"] for row in manifest) == {"train": 30, "valid": 30, "test": 30}
    assert len({row["group"] for row in manifest}) == 90


def test_files_are_16_bit_and_all_different(corpus):
    with wave.open(str(corpus / rows(corpus / "manifest.csv")[0]["file"])) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnframes()) == (8000, 2, 2000)
    audio = [value for path, value in digests(corpus).items() if path.suffix == ".wav"]
    assert len(set(audio)) == len(audio) == 94


def test_backgrounds_have_their_own_manifest(corpus):
    manifest = rows(corpus / "backgrounds.csv")
    assert len(manifest) == 4
    with wave.open(str(corpus / manifest[0]["file"])) as file:
        assert file.getnframes() == 8000


def test_same_bytes_with_any_number_of_threads(script, tmp_path):
    found = []
    before = torch.get_num_threads()
    for n_threads in (1, 2):
        torch.set_num_threads(n_threads)
        script.main([str(tmp_path / str(n_threads)), "--clips", "230", "--sample-rate", "16000"])
        found.append(digests(tmp_path / str(n_threads)))
    torch.set_num_threads(before)
    assert found[0] == found[1]


def test_same_seed_gives_same_bytes_also_after_an_interruption(script, corpus, tmp_path):
    script.main(arguments(tmp_path))
    assert digests(tmp_path) == digests(corpus)
    gone, cut = list((tmp_path / "audio").rglob("*.wav"))[:2]
    kept = next((tmp_path / "backgrounds").rglob("*.wav"))
    before = kept.stat().st_mtime_ns
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:100])
    script.main(arguments(tmp_path))
    assert digests(tmp_path) == digests(corpus)
    assert kept.stat().st_mtime_ns == before


def test_mixtures_are_the_clips_of_training(script, tmp_path):
    options = "--clips 0 --mixtures 70 --mixture-duration-s 0.2 --sample-rate 8000 --seed 5"
    words = options.split()
    script.main([str(tmp_path), *words])
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == [
        "mixtures"
    ]
    source = ProceduralSource(5, 1600, 8000)
    for number in (0, 63, 69):
        path = tmp_path / "mixtures" / f"mixture_{number:07d}.wav"
        [expected] = source.batch(0, torch.tensor([number]))
        found, rate = read_audio(path)
        assert rate == 8000
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=0, atol=2**-15)
    before = digests(tmp_path)
    gone = tmp_path / "mixtures" / "mixture_0000066.wav"
    gone.unlink()
    script.main([str(tmp_path), *words])
    assert digests(tmp_path) == before
    assert len(before) == 70


def test_bad_arguments_are_refused(script, tmp_path, capsys):
    with pytest.raises(SystemExit):
        script.main([str(tmp_path), "--clips", "9", "--test-share", "0.8", "--valid-share", "0.4"])
    assert "at most 1" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        script.main([str(tmp_path), "--clips", "0"])
    assert "one of them more" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        script.main(["--help"])
    assert "python datasets/make_sounds.py data/sounds" in capsys.readouterr().out
