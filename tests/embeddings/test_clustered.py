"""Without Ray: what is sent is pickled, and answers come back in another order."""

import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import soundfile
import torch

from byola_diff import workers
from byola_diff.audio.files import write_wav
from byola_diff.embeddings import cache as embedding_cache
from byola_diff.embeddings import encoding
from byola_diff.embeddings.extract import ExtractionOptions, NonFiniteEmbeddingError, embed
from byola_diff.evaluation.options import EmbeddingOptions
from byola_diff.storage import sha256
from byola_diff.tables.preprocessing import Preprocessing
from byola_diff.tables.reading import UnreadableClipsError
from tests.corpus import RATE, tone, write_corpus
from tests.embeddings.counting_encoder import named

HERE = ExtractionOptions(batch_size=2, precision="float32", progress=False)


class Elsewhere:
    """Stands in for the cluster: one other machine, which may be made different."""

    def __init__(self):
        self.change = lambda work: work
        self.n_sent = 0

    def __call__(self, items, work, address):
        assert address == "there"
        self.n_sent += 1
        work = self.change(pickle.loads(pickle.dumps(work)))
        for place in (*range(1, len(items), 2), *range(0, len(items), 2)):
            yield place, partial(work, items[place])


@pytest.fixture
def elsewhere(monkeypatch):
    stand_in = Elsewhere()
    monkeypatch.setattr(workers, "in_cluster", stand_in)
    return stand_in


@pytest.fixture
def manifest(tmp_path):
    folder = tmp_path / "audio"
    folder.mkdir()
    return write_corpus(folder)


def run(encoder, manifest, cache=None, readout="scene", cluster="there"):
    options = replace(HERE, cache=cache, cluster=cluster)
    return embed(encoder, manifest, readout, Preprocessing(unit_s=0.35), options)


def files(folder):
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): sha256(path) for path in paths}


@pytest.mark.parametrize("readout", ["scene", "layers", "timestamps"])
def test_the_cache_has_the_same_files(elsewhere, manifest, tmp_path, monkeypatch, readout):
    monkeypatch.setattr(embedding_cache, "_PART_CLIPS", 4)
    run(named(), manifest, tmp_path / "here", readout, cluster=None)
    run(named(), manifest, tmp_path / "there", readout)
    assert len(files(tmp_path / "here")) == 4
    assert files(tmp_path / "there") == files(tmp_path / "here")
    assert elsewhere.n_sent == 1


def test_rows_are_those_of_their_clips(elsewhere, manifest):
    assert torch.equal(run(named(), manifest).scene, run(named(), manifest, cluster=None).scene)


def test_what_is_cached_is_not_asked_for(elsewhere, manifest, tmp_path):
    run(named(), manifest, tmp_path)
    assert run(named(), manifest, tmp_path).n_cached == 12
    assert elsewhere.n_sent == 1


def other_resampler(work, monkeypatch):
    def there(batch):
        with monkeypatch.context() as patched:
            patched.setattr(encoding, "resampler_name", lambda: "soxr 0.1")
            return work(batch)

    return there


def other_gain(work, monkeypatch):
    work.encoding.encoder.gain.mul_(2)
    return work


class Release:
    """Work of a machine with another release, whose settings have others beside them, or fewer."""

    def __init__(self, work, added=None, lacks=""):
        self.work, self.added, self.lacks = work, added or {}, lacks

    def __call__(self, batch):
        answer = self.work(batch)
        settings = {**answer.settings, **self.added}
        settings.pop(self.lacks, None)
        return replace(answer, settings=settings)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (other_resampler, r"resampler \(soxr 0\.1, here soxr"),
        (other_gain, r"encoder \("),
        (lambda work, _: Release(work, added={"window_s": 2}), r"window_s \(2, here nothing\): "),
        (lambda work, _: Release(work, lacks="resampler"), r"resampler \(nothing, here soxr"),
    ],
)
def test_a_machine_that_embeds_otherwise_is_refused(
    elsewhere, manifest, tmp_path, monkeypatch, change, reason
):
    elsewhere.change = lambda work: change(work, monkeypatch)
    with pytest.raises(ValueError, match=rf"would give other embeddings, by its {reason}"):
        run(named(), manifest, tmp_path / "cache")
    assert files(tmp_path / "cache") == {}


@pytest.mark.parametrize("is_there", [True, False])
def test_a_machine_that_sees_other_files_is_refused(elsewhere, manifest, tmp_path, is_there):
    def with_another_disk(work):
        path = manifest.root / "0.wav"
        write_wav(path, tone(300, 2400), RATE) if is_there else path.unlink()
        return work

    elsewhere.change = with_another_disk
    with pytest.raises(ValueError, match=r"another file, or none, as .*/0\.wav"):
        run(named(), manifest, tmp_path / "cache")
    assert files(tmp_path / "cache") == {}


def test_clips_broken_inside_keep_the_others(elsewhere, manifest, tmp_path):
    samples = tone(300, 2400).astype(np.float32)
    samples[7] = np.nan  # the header tells nothing
    soundfile.write(manifest.root / "3.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(UnreadableClipsError, match=r"1 of 12(.|\n)*3\.wav.*NaN"):
        run(named(), manifest, tmp_path / "cache")
    write_wav(manifest.root / "3.wav", tone(300, 2400), RATE)
    assert run(named(), manifest, tmp_path / "cache").n_cached == 11


def test_embeddings_that_are_not_finite_are_refused(elsewhere, manifest):
    with pytest.raises(NonFiniteEmbeddingError, match=r"0\.wav"):
        run(named(gain=float("nan")), manifest)


def test_a_cluster_has_no_device():
    with pytest.raises(ValueError, match="no device cuda"):
        ExtractionOptions(cluster="auto", device="cuda")
    with pytest.raises(ValueError, match="leave out --device"):
        EmbeddingOptions(cluster="auto", device=torch.device("cuda"))
