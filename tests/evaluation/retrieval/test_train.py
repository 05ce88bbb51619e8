import dataclasses
import math

import pytest
import torch

from byola_diff.encoders.open import open_encoder
from byola_diff.evaluation.options import EmbeddingOptions
from byola_diff.evaluation.retrieval import network as retrieval_network
from byola_diff.evaluation.retrieval import train as retrieval_train
from byola_diff.evaluation.retrieval.text_encoders import BagOfWords
from byola_diff.evaluation.retrieval.train import (
    RetrievalRules,
    pair_manifest,
    retrieval_parts,
    statistics,
    train_retrieval,
)
from byola_diff.scores.recall import cosine_ranks, recall_at_k
from byola_diff.tables.pairs import Pair, PairTable
from tests.evaluation.retrieval.retrieval_cases import N_PAIRS, TEST, TRAIN, VALID, learnable_pairs

QUICK = RetrievalRules(max_epochs=20, batch_size=64, dim=64)


def judge_by(monkeypatch, judge):
    """Have `judge` of the network in place of the validation loss."""
    monkeypatch.setattr(retrieval_train, "validation_loss", lambda network, *_: judge(network))


def recall_at_1(pairs, network, rows=TEST):
    batch = pairs.batch(rows)
    first, second = batch.audio.chunk(2)
    ranks = cosine_ranks(
        network.query(first, batch.text), network.target(second), torch.arange(len(rows))
    )
    return recall_at_k(ranks, 1)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_can_be_learned_is_learned(precision):
    pairs = learnable_pairs()
    rules = dataclasses.replace(QUICK, precision=precision)
    trained = train_retrieval(pairs, TRAIN, VALID, 0, rules)
    assert trained.network.target(pairs.audio[:2]).dtype == torch.float32
    assert len(trained.valid_losses) == 20
    # The classes are drawn by chance, and cost the logarithm of 2 whatever is learned.
    first, last = (trained.valid_losses[place] - math.log(2) for place in (0, -1))
    assert 0 < last < 0.1 * first
    assert recall_at_1(pairs, trained.network) > 0.9


@pytest.mark.slow
def test_the_temperature_stays_at_or_above_its_least_value(monkeypatch):
    def temperatures():
        seen = []
        judge_by(monkeypatch, lambda network: seen.append(network.temperature.item()) or 1.0)
        train_retrieval(learnable_pairs(), TRAIN, VALID, 0, QUICK)
        return seen

    free = temperatures()
    assert free[0] > free[-1]
    bound = sum(free) / len(free)
    monkeypatch.setattr(retrieval_network, "LEAST_TEMPERATURE", bound)
    assert min(temperatures()) == pytest.approx(bound, rel=1e-5)


def test_the_text_is_needed():
    pairs = learnable_pairs()
    trained = train_retrieval(pairs, TRAIN, VALID, 0, QUICK)
    other = dataclasses.replace(pairs, wording=(pairs.wording + 1) % 8)
    assert recall_at_1(other, trained.network) < recall_at_1(pairs, trained.network) - 0.3


def test_what_can_not_be_learned_stays_at_chance():
    # 100 candidates: 1 % expected; 6 of 100 or more happen once in 1900 times.
    pairs = learnable_pairs(shuffled=True)
    trained = train_retrieval(pairs, TRAIN, VALID, 0, QUICK)
    assert recall_at_1(pairs, trained.network) <= 0.05


def test_a_seed_gives_the_same_network_again_and_another_seed_another_one():
    pairs, rules = learnable_pairs(), dataclasses.replace(QUICK, max_epochs=2)
    runs = [train_retrieval(pairs, TRAIN, VALID, seed, rules) for seed in (1, 1, 2)]
    states = [run.network.state_dict() for run in runs]
    assert runs[0].valid_losses == runs[1].valid_losses != runs[2].valid_losses
    assert all(value.equal(states[1][name]) for name, value in states[0].items())


def test_embeddings_stay_as_they_are():
    pairs = learnable_pairs(60)
    audio, text = pairs.audio.clone(), pairs.text.clone()
    rows = torch.arange(60)
    train_retrieval(pairs, rows[:40], rows[40:], 0, dataclasses.replace(QUICK, max_epochs=1))
    assert pairs.audio.equal(audio)
    assert pairs.text.equal(text)


def test_validation_pairs_are_not_trained_on(monkeypatch):
    pairs, rules = learnable_pairs(60), dataclasses.replace(QUICK, max_epochs=1)
    altered = pairs.audio.clone()
    altered[pairs.clips[1, 40:]] = 7.0
    rows = torch.arange(60)
    judge_by(monkeypatch, lambda network: 1.0)
    runs = [
        train_retrieval(case, rows[:40], rows[40:], 0, rules)
        for case in (pairs, dataclasses.replace(pairs, audio=altered))
    ]
    first, second = (run.network.state_dict() for run in runs)
    assert all(value.equal(second[name]) for name, value in first.items())


@pytest.mark.parametrize(
    ("losses", "epoch"),
    [
        ([3.0, 2.0, 1.0], 3),
        ([3.0, 1.0, 2.0], 2),
        ([1.0, 1.0, 1.0], 1),
        ([math.nan, 2.0, math.nan], 2),
        ([2.0, math.nan, 1.0], 3),
        ([-1.0, 5.0, math.inf], 1),
    ],
)
def test_the_first_epoch_of_the_lowest_loss_is_kept(losses, epoch, monkeypatch):
    pairs = learnable_pairs(60)
    rows, weights, waiting = torch.arange(60), [], list(losses)

    def judge(network):
        weights.append(network.audio_adapter.first.weight.detach().clone())
        return waiting.pop(0)

    rules = dataclasses.replace(QUICK, max_epochs=3)
    judge_by(monkeypatch, judge)
    trained = train_retrieval(pairs, rows[:40], rows[40:], 0, rules)
    assert trained.best_epoch == epoch
    assert trained.network.audio_adapter.first.weight.equal(weights[epoch - 1])
    assert not weights[0].equal(weights[1])


def test_a_training_that_diverged_is_an_error(monkeypatch):
    pairs, rows = learnable_pairs(60), torch.arange(60)
    judge_by(monkeypatch, lambda network: math.nan)
    with pytest.raises(ValueError, match="never was a number"):
        train_retrieval(pairs, rows[:40], rows[40:], 0, dataclasses.replace(QUICK, max_epochs=2))


def test_the_validation_loss_is_a_mean_over_pairs():
    # 70 pairs in batches of 64: the six of the second batch count as six pairs.
    pairs, rows = learnable_pairs(100), torch.arange(100)
    rules = dataclasses.replace(QUICK, max_epochs=1)
    trained = train_retrieval(pairs, rows[:30], rows[30:], 0, rules)
    alone = [
        train_retrieval(pairs, rows[:30], part, 0, rules).valid_losses[0]
        for part in rows[30:].split(64)
    ]
    assert trained.valid_losses[0] == pytest.approx((64 * alone[0] + 6 * alone[1]) / 70)


@pytest.mark.parametrize("name", ["audio", "text"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_embeddings_that_are_not_finite_are_refused(name, bad):
    pairs = learnable_pairs(60)
    table = getattr(pairs, name).clone()
    table[3, 0] = bad
    with pytest.raises(ValueError, match=r"embeddings of 1 .* are NaN or infinite"):
        dataclasses.replace(pairs, **{name: table})


def pair(number, split, first=None, labels=(("dog",), ()), text="remove the dog"):
    first = first or f"{number}_s1.wav"
    return Pair(f"p{number}", "rain", split, first, f"{number}_s2.wav", *labels, text)


def table_of(root, pairs):
    labels = {label for p in pairs for label in (*p.first_labels, *p.second_labels)}
    return PairTable(root, tuple(pairs), tuple(sorted(labels)))


def test_a_tenth_of_the_training_pairs_validates(tmp_path):
    splits = ["test", "train", "train"] * 20
    table = table_of(tmp_path, [pair(n, split) for n, split in enumerate(splits)])
    train, valid = retrieval_parts(table, 0, QUICK)
    assert (len(train), len(valid)) == (36, 4)
    rows = [row for row, split in enumerate(splits) if split == "train"]
    assert sorted([*train.tolist(), *valid.tolist()]) == rows
    again, other = (retrieval_parts(table, seed, QUICK)[1] for seed in (0, 1))
    assert valid.equal(again)
    assert not valid.equal(other)


def test_validation_pairs_of_the_table_are_used_instead(tmp_path):
    table = table_of(tmp_path, [pair(n, "valid" if n == 3 else "train") for n in range(20)])
    train, valid = retrieval_parts(table, 0, QUICK)
    assert valid.tolist() == [3]
    assert len(train) == 19


@pytest.mark.parametrize("splits", [["train"], ["test"], ["valid", "test"]])
def test_too_few_pairs_to_train_on(splits, tmp_path):
    table = table_of(tmp_path, [pair(n, split) for n, split in enumerate(splits)])
    with pytest.raises(ValueError, match="both are needed; add pairs of split train"):
        retrieval_parts(table, 0, QUICK)


def test_two_training_pairs_will_do(tmp_path):
    table = table_of(tmp_path, [pair(n, "train") for n in range(2)])
    assert [len(part) for part in retrieval_parts(table, 0, QUICK)] == [1, 1]


class FixedTexts(BagOfWords):
    def embed(self, texts):
        assert texts == ["add a dog", "remove the dog"]
        return torch.tensor([[10.0], [20.0]])


def test_clips_and_texts_are_there_once(tmp_path, monkeypatch):
    pairs = [
        pair(0, "train"),
        pair(1, "train", first="0_s1.wav", labels=((), ("dog", "rain")), text="add a dog"),
        pair(2, "test"),
    ]
    table = table_of(tmp_path, pairs)
    manifest = pair_manifest(table)
    files = [clip.file for clip in manifest.clips]
    assert files == ["0_s1.wav", "0_s2.wav", "1_s2.wav", "2_s1.wav", "2_s2.wav"]
    assert [clip.split for clip in manifest.clips] == ["train"] * 3 + ["test"] * 2
    audio = torch.arange(5.0)[:, None]
    monkeypatch.setattr(retrieval_train, "embed_whole", lambda *_: audio)
    encoder = open_encoder("log-mel-statistics")
    scene = retrieval_train.embed_scene(table, encoder, FixedTexts(), EmbeddingOptions())
    embedded, mean, deviation = scene
    assert embedded.audio.data_ptr() == audio.data_ptr()  # no copy
    assert mean.item() == 1.0  # of the clips of training pairs: 0, 1, 2
    batch = embedded.batch(torch.tensor([1, 2]))
    given = batch.audio.flatten() * deviation + mean
    torch.testing.assert_close(given, torch.tensor([0.0, 3.0, 2.0, 4.0]))
    assert batch.text.flatten().tolist() == [10, 20]
    assert table.classes == ("dog", "rain")
    assert batch.labels.tolist() == [[0, 0], [1, 0], [1, 1], [0, 0]]


def test_statistics_are_those_of_the_rows():
    generator = torch.Generator().manual_seed(0)
    table = 100 + 3 * torch.randn(2000, 70, generator=generator)
    table[:, 2] = 5.5
    rows = torch.arange(0, 2000, 2)
    mean, deviation = statistics(table, rows)
    chosen = table[::2].double()
    torch.testing.assert_close(mean, chosen.mean(0).float())
    expected = chosen.std(0, correction=0).float()
    expected[2] = 1.0  # constant: not divided by
    torch.testing.assert_close(deviation, expected)


def test_all_rows_are_used():
    assert len(TRAIN) + len(VALID) + len(TEST) == N_PAIRS
