import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from byola_diff.scores.recall import cosine_ranks, pessimistic_ranks, recall_at_k

GALLERY = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [-1.0, 0.0]])
OWN = torch.arange(4)


def test_ranks_by_hand():
    # Cosines of (1, 0): 1, 0, 0.6, -1; (0, 1): 0, 1, 0.8, 0; (0.8, 0.6): 0.8, 0.6, 0.96, -0.8.
    query = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6], [1.0, 0.0]])
    ranks = cosine_ranks(query, GALLERY, OWN)
    assert ranks.tolist() == [1, 1, 1, 4]
    assert cosine_ranks(query[:3], GALLERY, torch.tensor([2, 0, 1])).tolist() == [2, 4, 3]


def test_ties_count_against_us():
    # All candidates are one: the own is the last of four, whichever it is.
    same = torch.tensor([[0.3, 0.7]]).repeat(4, 1)
    query = torch.tensor([[1.0, 2.0], [3.0, 0.1], [-1.0, 5.0], [0.0, 1.0]])
    ranks = cosine_ranks(query, same, OWN)
    assert ranks.tolist() == [4, 4, 4, 4]
    assert recall_at_k(ranks, 1) == 0.0
    assert recall_at_k(ranks, 4) == 1.0
    # A tie of two below one that is better: 3, not 2.
    gallery = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.6, 0.8], [-1.0, 0.0]])
    assert cosine_ranks(gallery[:1], gallery, torch.tensor([1])).tolist() == [3]


def test_a_tie_of_silent_queries_is_a_miss():
    assert cosine_ranks(torch.zeros(1, 2), GALLERY, torch.tensor([0])).tolist() == [4]


def test_equal_candidates_are_tied_in_a_large_gallery():
    # In blocks, products of equal rows can differ by rounding.
    generator = torch.Generator().manual_seed(0)
    gallery = torch.randn(1, 513, generator=generator).repeat(1037, 1)
    query = torch.randn(1037, 513, generator=generator)
    assert (cosine_ranks(query, gallery, torch.arange(1037)) == 1037).all()


def test_lengths_do_not_count():
    generator = torch.Generator().manual_seed(0)
    query, gallery = torch.randn(2, 30, 5, generator=generator)
    own = torch.arange(30)
    expected = cosine_ranks(query, gallery, own)
    scale = torch.logspace(-20, 20, 30)[:, None]
    assert cosine_ranks(query * scale, gallery, own).equal(expected)
    assert cosine_ranks(query, gallery * scale, own).equal(expected)


def test_the_order_of_the_gallery_does_not_count():
    generator = torch.Generator().manual_seed(1)
    query, gallery = torch.randn(2, 40, 3, generator=generator)
    order = torch.randperm(40, generator=generator)
    expected = cosine_ranks(query, gallery, torch.arange(40))
    assert cosine_ranks(query, gallery[order], order.argsort()).equal(expected)


def test_more_queries_than_one_part():
    generator = torch.Generator().manual_seed(2)
    vectors = torch.randn(2500, 8, generator=generator)
    assert (cosine_ranks(vectors, vectors, torch.arange(2500)) == 1).all()


def test_one_pair_is_always_found():
    assert cosine_ranks(torch.ones(1, 2), -torch.ones(1, 2), torch.tensor([0])).tolist() == [1]


def test_recall_by_hand():
    ranks = torch.tensor([1, 2, 5, 6, 10, 11])
    assert [recall_at_k(ranks, k) for k in (1, 5, 10)] == [1 / 6, 3 / 6, 5 / 6]


def test_recall_at_chance_is_the_share_of_the_gallery():
    generator = torch.Generator().manual_seed(3)
    query, gallery = torch.randn(2, 2000, 6, generator=generator)
    ranks = cosine_ranks(query, gallery, torch.arange(2000))
    assert recall_at_k(ranks, 200) == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_no_ranks_of_what_is_not_finite(bad, side):
    sides = [GALLERY.clone(), GALLERY.clone()]
    sides[side][1, 0] = bad
    with pytest.raises(ValueError, match="NaN or infinite"):
        cosine_ranks(*sides, OWN)


def test_no_queries():
    with pytest.raises(ValueError, match="no queries"):
        cosine_ranks(torch.zeros(0, 2), GALLERY, torch.zeros(0, dtype=torch.int64))


def test_ranks_of_similarities_by_hand():
    # Others at or above the own one: 0, 2 (one of them equal), 3, 0 (4 below).
    similarity = torch.tensor(
        [
            [0.9, 0.1, 0.2, 0.3],
            [0.5, 0.4, 0.4, 0.1],
            [0.9, 0.8, 0.1, 0.2],
            [0.0, 0.1, 0.2, 0.3],
        ]
    )
    ranks = pessimistic_ranks(similarity, OWN)
    assert ranks.tolist() == [1, 3, 4, 1]
    assert [recall_at_k(ranks, k) for k in (1, 2, 3, 4)] == [0.5, 0.5, 0.75, 1.0]
    assert pessimistic_ranks(similarity, OWN, margin=0.15).tolist() == [1, 3, 4, 2]


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_ranks_do_not_depend_on_the_order_and_ties_never_help(data):
    # Few values, so that many are tied.
    n = data.draw(st.integers(1, 8))
    rows = st.lists(st.integers(0, 3), min_size=n, max_size=n)
    similarity = torch.tensor(data.draw(st.lists(rows, min_size=n, max_size=n))).double()
    order = torch.tensor(data.draw(st.permutations(range(n))))
    own = torch.arange(n)
    ranks = pessimistic_ranks(similarity, own)
    assert pessimistic_ranks(similarity[:, order], order.argsort()).equal(ranks)
    assert pessimistic_ranks(similarity[order], order).equal(ranks[order])
    # Each tie that is broken for the own candidate makes its rank better, or leaves it.
    broken = pessimistic_ranks(similarity + 0.5 * torch.eye(n), own)
    assert (broken <= ranks).all()
    recalls = [recall_at_k(ranks, k) for k in range(1, n + 1)]
    assert recalls == sorted(recalls)
    assert recalls[-1] == 1.0
