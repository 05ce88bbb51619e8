import math

import pytest
import torch

from byola_diff.evaluation.retrieval.network import (
    LEAST_TEMPERATURE,
    Adapter,
    info_nce,
    retrieval_loss,
    seeded_retrieval_network,
)
from tests.evaluation.retrieval.retrieval_cases import learnable_pairs


def test_two_by_two_by_hand():
    # Cosines [[1, 0.6], [0, 0.8]] at temperature 0.5 are logits [[2, 1.2], [0, 1.6]].
    query = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    target = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    rows = math.log(1 + math.exp(1.2 - 2)) + math.log(1 + math.exp(0 - 1.6))
    columns = math.log(1 + math.exp(0 - 2)) + math.log(1 + math.exp(1.2 - 1.6))
    found = info_nce(query, target, 0.5)
    assert found.item() == pytest.approx((rows / 2 + columns / 2) / 2, rel=1e-6)


def test_sides_can_be_swapped_and_scaled():
    generator = torch.Generator().manual_seed(0)
    query, target = torch.randn(2, 9, 4, generator=generator)
    expected = info_nce(query, target, 0.1)
    torch.testing.assert_close(info_nce(target, query, 0.1), expected)
    torch.testing.assert_close(info_nce(5 * query, 0.1 * target, 0.1), expected)


def test_equal_latents_are_at_chance_and_one_pair_costs_nothing():
    same = torch.ones(7, 3)
    assert info_nce(same, same, 0.07).item() == pytest.approx(math.log(7), rel=1e-6)
    assert info_nce(torch.randn(1, 3), torch.randn(1, 3), 0.07).item() == 0.0


def test_terms_add_up_by_their_weight():
    pairs = learnable_pairs(12)
    network = seeded_retrieval_network(0, 24, 16, 2, dim=8)
    terms = retrieval_loss(network, pairs.batch(torch.arange(12)), 0.25)
    torch.testing.assert_close(terms["total"], terms["contrastive"] + 0.25 * terms["classes"])
    audio, text = network.audio_adapter, network.text_adapter
    query = audio(pairs.audio[:12]) + text(pairs.text[pairs.wording])
    expected = info_nce(query, audio(pairs.audio[12:]), 0.07)
    torch.testing.assert_close(terms["contrastive"], expected)
    logits = network.classifier(audio(pairs.audio))
    labels = pairs.labels.flatten(0, 1)
    share = logits.sigmoid()
    by_hand = -(labels * share.log() + (1 - labels) * (1 - share).log()).mean()
    torch.testing.assert_close(terms["classes"], by_hand)


def test_every_weight_learns_and_no_embedding_does():
    pairs = learnable_pairs(12)
    network = seeded_retrieval_network(0, 24, 16, 2, dim=8)
    retrieval_loss(network, pairs.batch(torch.arange(12)), 1.0)["total"].backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name
    assert not pairs.audio.requires_grad
    assert not pairs.text.requires_grad


def test_without_classes_only_the_contrast_counts():
    pairs = learnable_pairs(12, n_classes=0)
    network = seeded_retrieval_network(0, 24, 16, 0, dim=8)
    terms = retrieval_loss(network, pairs.batch(torch.arange(12)), 1.0)
    assert terms["classes"].item() == 0.0
    assert terms["total"] == terms["contrastive"]
    assert network.classifier is None


def test_adapter_by_hand():
    adapter = Adapter(1, 2)
    with torch.no_grad():
        adapter.first.weight[:] = torch.tensor([[1.0], [-1.0]])
        adapter.first.bias.zero_()
        adapter.second.weight[:] = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
        adapter.second.bias.zero_()
    # hidden = (2, -2); GELU(2) = 2 * 0.97725; out = (2, -2 + 1.9545), normalised to (1, -1).
    out = adapter(torch.tensor([[2.0]]))
    gap = (2 - (-2 + 2 * 0.9772499)) / 2
    expected = gap / math.sqrt(gap**2 + 1e-5)
    torch.testing.assert_close(out, torch.tensor([[expected, -expected]]))


def test_query_and_target_share_the_audio_adapter():
    network = seeded_retrieval_network(0, 6, 4, 1, dim=8)
    clips, text = torch.randn(3, 6), torch.zeros(3, 4)
    with torch.no_grad():
        network.text_adapter.norm.weight.zero_()
    torch.testing.assert_close(network.query(clips, text), network.target(clips))
    torch.testing.assert_close(network.target(clips).norm(dim=1), torch.ones(3))


def test_weights_are_of_the_seed_alone():
    first = seeded_retrieval_network(3, 6, 4, 1).state_dict()
    torch.manual_seed(99)
    again, other = (seeded_retrieval_network(seed, 6, 4, 1).state_dict() for seed in (3, 4))
    assert all(value.equal(again[name]) for name, value in first.items())
    assert not first["audio_adapter.first.weight"].equal(other["audio_adapter.first.weight"])


def test_temperature_begins_as_given_and_is_bounded_without_losing_its_gradient():
    network = seeded_retrieval_network(0, 6, 4, 1)
    assert network.temperature.item() == pytest.approx(0.07)
    with torch.no_grad():
        network.log_temperature.fill_(math.log(1e-4))
    network.bound_temperature()
    assert network.temperature.item() == pytest.approx(LEAST_TEMPERATURE)
    network.temperature.backward()
    assert network.log_temperature.grad.item() == pytest.approx(LEAST_TEMPERATURE)
