from pathlib import Path

import numpy as np
import pytest
import torch

from byola_diff.audio.files import write_wav
from byola_diff.demo import measures
from byola_diff.encoders.log_mel_statistics import load_log_mel_statistics
from byola_diff.evaluation.additivity.measures import additivity
from byola_diff.evaluation.additivity.quadruples import EventSounds
from byola_diff.evaluation.bgknown.data import VARIANTS, BgKnown
from byola_diff.tables.manifest import Clip, Manifest, read_manifest, write_manifest
from tests.corpus import tone

RATE = 16_000


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Tones of two labels in two folds, which any probe tells apart."""
    folder, clips = tmp_path_factory.mktemp("tones"), []
    for number in range(8):
        low = number % 2 == 0
        frequency_hz = (300 if low else 3000) + 10 * number
        write_wav(folder / f"{number}.wav", tone(frequency_hz, RATE // 2, RATE), RATE)
        clips.append(Clip(f"{number}.wav", ("low" if low else "high",), fold=1 + number // 4))
    write_manifest(folder / "manifest.csv", clips)
    return read_manifest(folder / "manifest.csv")


def test_naming_has_a_value_for_each_draw(manifest):
    pytest.importorskip("sklearn")
    encoder = load_log_mel_statistics()
    found = measures.naming(encoder, {"draw 0": manifest, "draw 1": manifest})
    folds = {"fold 1": 1.0, "fold 2": 1.0}
    assert found.scores == {"accuracy": {"draw 0": folds, "draw 1": folds}}


def test_naming_of_recordings_has_a_value_for_each_fold(manifest):
    pytest.importorskip("sklearn")
    found = measures.naming(load_log_mel_statistics(), {"recordings": manifest})
    assert found.scores == {"accuracy": {"fold 1": 1.0, "fold 2": 1.0}}


class Sums(torch.nn.Module):
    """Scene: sums of stretches, which is linear, so that events are found whatever the ground."""

    sample_rate = RATE
    scene_embedding_size = timestamp_embedding_size = 8
    layer_strides = {"a": 1}  # noqa: RUF012

    def timestamps(self, waveform):
        raise NotImplementedError

    def layers(self, waveform):
        raise NotImplementedError

    def scene(self, waveform):
        return waveform.reshape(len(waveform), 8, -1).sum(2)


def test_additivity_by_draw_and_what_is_found_in_the_first():
    noise = torch.randn(3, 5, 800, generator=torch.Generator().manual_seed(0)) / 50
    first = EventSounds(*noise, tuple("abcde"))
    second = EventSounds(*noise[:, :3], tuple("abc"))
    found = measures.additive(Sums(), {"draw 0": first, "draw 1": second})
    assert found.chosen == {"found": [0, 1, 2, 3, 4]}
    assert set(found.scores) == {"cosine", "raw_cosine", "recall@1", "recall@5"}
    assert found.scores["recall@1"] == {"draw 0": 1.0, "draw 1": 1.0}
    embedded = [Sums().scene(side) for side in (noise[1], noise[1] + noise[0])]
    embedded += [Sums().scene(side) for side in (noise[2], noise[2] + noise[0])]
    assert found.scores["cosine"]["draw 0"] == pytest.approx(additivity(*embedded)["cosine"])


def test_background_known_of_each_draw_and_variant(monkeypatch):
    vectors = np.arange(24, dtype=np.float32).reshape(8, 3)  # two items in four variants
    empty = Manifest(Path(), (), ())
    data = BgKnown(Path(), dict.fromkeys(VARIANTS, empty), {}, {}, {}, ())
    monkeypatch.setattr(measures, "embed_clips", lambda *_: torch.from_numpy(vectors))
    monkeypatch.setattr(measures, "probe_manifest", lambda given, _: {"test": float(given[0, 0])})
    found = measures.background_known(Sums(), {"draw 0": data, "draw 1": data})
    assert found.scores == {
        "mix": {"draw 0": 0.0, "draw 1": 0.0},
        "a": {"draw 0": -6.0, "draw 1": -6.0},
        "b": {"draw 0": -12.0, "draw 1": -12.0},
        "c": {"draw 0": -18.0, "draw 1": -18.0},
    }
