"""Clips to score with: some of each label on each side, however few there is room for."""

import sys
from collections import Counter

import numpy as np
import pytest

from benchmarks import select_corpus
from byola_diff.audio.files import write_wav
from byola_diff.probing.nearest import judged_sides
from byola_diff.tables.manifest import read_manifest

_CLIP_BYTES = 44 + 2 * 8000


@pytest.fixture
def corpus(tmp_path):
    """Function that writes four labels of five sides with four clips each, side after side."""
    (tmp_path / "corpus").mkdir()
    write_wav(tmp_path / "corpus" / "a.wav", np.zeros(80), 8000)
    (tmp_path / "corpus" / "manifest.csv").write_text("file,label\na.wav,effects\n")

    def write(column, sides):
        rows = [f"file,label,{column}"]
        for side in sides:
            for label in "abcd":
                for number in range(4):
                    rows.append(f"{label}{side}{number}.wav,{label},{side}")
                    write_wav(tmp_path / "all" / f"{label}{side}{number}.wav", np.zeros(8000), 8000)
        (tmp_path / "all" / "manifest.csv").write_text("\n".join(rows) + "\n")
        return tmp_path

    return write


def select(folder, n_clips, monkeypatch):
    words = [folder / "corpus", folder / "out", "--kinds", "effects", "--max-mb", 2, "--labelled"]
    words += [folder / "all" / "manifest.csv", "--labelled-mb", (n_clips + 0.5) * _CLIP_BYTES / 1e6]
    monkeypatch.setattr(sys, "argv", ["select_corpus", *map(str, words)])
    select_corpus.main()
    return read_manifest(folder / "out" / "labelled" / "manifest.csv")


@pytest.mark.parametrize("n_clips", [2, 5, 20, 40])
def test_folds_and_labels_are_taken_evenly(corpus, n_clips, monkeypatch):
    manifest = select(corpus("fold", [1, 2, 3, 4, 5]), n_clips, monkeypatch)
    assert len(manifest.clips) == n_clips
    for counts in (
        Counter(clip.fold for clip in manifest.clips),
        Counter(clip.labels for clip in manifest.clips),
    ):
        assert max(counts.values()) - min(counts.values()) <= 1
    judged_sides(manifest)


def test_splits_likewise(corpus, monkeypatch):
    manifest = select(corpus("split", ["train", "test"]), 9, monkeypatch)
    assert sorted(Counter(clip.split for clip in manifest.clips).values()) == [4, 5]


@pytest.mark.parametrize(("n_clips", "reason"), [(0, "no room"), (1, "only fold")])
def test_too_little_room_to_score_is_told(corpus, n_clips, reason, monkeypatch):
    with pytest.raises((SystemExit, ValueError), match=reason):
        select(corpus("fold", [1, 2]), n_clips, monkeypatch)
