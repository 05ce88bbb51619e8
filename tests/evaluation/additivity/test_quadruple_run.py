import numpy as np
import pytest
import torch
from torch import nn

from byola_diff.command_line import read_options
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.additivity.made_quadruples import Quadruple
from byola_diff.evaluation.additivity.quadruple_run import embed_quadruples, quadruple_job
from byola_diff.evaluation.additivity.run import AdditivityOptions, additivity_job

RATE = 8000


class SceneOnly(nn.Module):
    """The rest of the contract of an encoder, which additivity has no use for."""

    sample_rate = RATE
    scene_embedding_size = timestamp_embedding_size = 2
    layer_strides = {"a": 1}  # noqa: RUF012

    def timestamps(self, waveform):
        raise NotImplementedError

    def layers(self, waveform):
        raise NotImplementedError


class Samples(SceneOnly):
    """Scene: the first two samples, at whatever length."""

    def scene(self, waveform):
        return waveform[:, :2].clone()


class Given:
    """Quadruples of two samples."""

    name = "given"

    def __init__(self, *quadruples, rate=RATE):
        self.quadruples = [
            Quadruple(tuple(np.array(side, dtype=np.float32) for side in one), rate, "T")
            for one in quadruples
        ]

    def __len__(self):
        return len(self.quadruples)

    def settings(self):
        return {"made": "by hand"}

    def read(self, limit):
        return iter(self.quadruples[:limit])


# Movements over A: (1, 0) and (-1, 0); over C, turned by 60 degrees: (0.5, 0.866), (-0.5, -0.866).
BY_HAND = (
    ([0, 0], [1, 0], [0, 1], [0.5, 1.8660254]),
    ([0.5, 0], [-0.5, 0], [1, 0], [0.5, -0.8660254]),
)
# The third moves alike over both, aside from the others.
THIRD = ([0, 0], [0, 0.5], [0.5, 0.5], [0.5, 1.0])


def options(tmp_path, *words):
    given = ["--encoder", "samples", "--batch-size", 2, "--out", tmp_path, *words]
    return read_options(
        AdditivityOptions, [str(word) for word in given], prog="additivity", description=None
    )


def named(encoder=None):
    return NamedEncoder("samples", encoder or Samples(), "ab" * 32)


def test_scores_by_hand(tmp_path):
    job = quadruple_job(Given(*BY_HAND), 9, options(tmp_path))
    [record] = job.records(named())
    assert (job.protocol, job.task) == ("additivity", "given")
    assert record.scores["raw_cosine"].values == {"all": pytest.approx(0.5, abs=1e-6)}
    assert record.scores["cosine"].mean == pytest.approx(0.5, abs=1e-6)
    assert record.scores["recall@1"].mean == 1
    assert list(record.scores) == ["cosine", "raw_cosine", "recall@1", "recall@5"]
    assert record.settings == {"n_events": 2, "made": "by hand", "deviations": []}
    assert list(job.plan(named())) == ["samples on given: 2 of 2 quadruples, 8 clips"]


def test_part_of_a_source_is_a_deviation(tmp_path):
    job = quadruple_job(Given(*BY_HAND, THIRD), 2, options(tmp_path))
    [record] = job.records(named())
    assert record.deviations == ("2 of 3 quadruples",)
    assert record.scores["raw_cosine"].mean == pytest.approx(0.5, abs=1e-6)


def test_all_batches_count_and_sides_keep_their_places():
    embedded, labels = embed_quadruples(
        Samples().scene, Given(*BY_HAND, THIRD).read(3), RATE, 2, "cpu"
    )
    assert labels == ["T"] * 3
    expected = torch.tensor([*BY_HAND, THIRD]).transpose(0, 1)
    torch.testing.assert_close(torch.stack(embedded), expected)


def test_waveforms_are_brought_to_the_rate_of_the_encoder():
    level = [0.25] * 400
    given = Given((level, level, level, level), rate=2 * RATE)
    seen = []

    def embed(waveform):
        seen.append(tuple(waveform.shape))
        return waveform[:, 50:52].clone()

    embedded, _ = embed_quadruples(embed, given.read(1), RATE, 2, "cpu")
    assert seen == [(1, 200)] * 4
    torch.testing.assert_close(embedded[0], torch.full((1, 2), 0.25), atol=1e-2, rtol=0)


def test_clips_of_several_lengths_are_refused():
    longer = ([0, 0, 0],) * 4
    with pytest.raises(ValueError, match=r"several lengths: \[2, 3\] samples"):
        embed_quadruples(Samples().scene, Given(BY_HAND[0], longer).read(2), RATE, 1, "cpu")


def test_at_least_two(tmp_path):
    with pytest.raises(ValueError, match="given: additivity is measured over at least two"):
        quadruple_job(Given(BY_HAND[0]), 5, options(tmp_path))
    with pytest.raises(ValueError, match="at least two"):
        quadruple_job(Given(*BY_HAND), 1, options(tmp_path))


def test_options_of_the_verb(tmp_path):
    words = ("--quadruples", "procedural", "--events", 6, "--duration-s", 0.2, "--seeds", 3)
    job = additivity_job(options(tmp_path, *words))
    assert job.task == "tone scenes"
    assert job.settings == {
        "n_events": 6,
        "duration_s": 0.2,
        "scene_seed": 3,
        "deviations": [],
    }
    limited = additivity_job(options(tmp_path, *words, "--limit", 4))
    assert limited.settings["n_events"] == 4
    with pytest.raises(ValueError, match="events and backgrounds of its own"):
        additivity_job(options(tmp_path, *words, "--event-folder", tmp_path))
    with pytest.raises(FileNotFoundError, match=r"neither quadruples\.csv"):
        additivity_job(options(tmp_path, "--quadruples", tmp_path))


def test_an_encoder_that_is_linear_finds_every_tone(tmp_path):
    class Sums(SceneOnly):
        sample_rate = 32_000

        def scene(self, waveform):
            return waveform.reshape(len(waveform), 64, -1).sum(2)

    words = ("--quadruples", "procedural", "--events", 6, "--duration-s", 0.2)
    [record] = additivity_job(options(tmp_path, *words)).records(named(Sums()))
    assert record.scores["cosine"].mean == pytest.approx(1, abs=1e-3)
    assert record.scores["recall@1"].mean == 1
