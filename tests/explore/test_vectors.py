import numpy as np
import pytest
import torch

from byola_diff.explore.vectors import MOST_COMPONENTS, map_positions, page_vectors, whole_numbers


def cosine(one, other):
    return one @ other / np.linalg.norm(one) / np.linalg.norm(other)


def standardised(embeddings):
    deviation = embeddings.std(0, correction=0)
    return ((embeddings - embeddings.mean(0)) / deviation.where(deviation > 0, 1)).double().numpy()


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_one_scale_for_all_numbers():
    numbers = whole_numbers(np.array([[1.0, -2.0], [0.5, 0.0]]))
    assert numbers.dtype == np.int16
    assert numbers.tolist() == [[16384, -32767], [8192, 0]]
    assert whole_numbers(np.zeros((2, 3))).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_sums_and_differences_point_where_those_of_embeddings_do():
    embeddings = drawn(40, 60) + 5  # a mean that all have, which would drown what differs
    vectors = page_vectors(embeddings).astype(float)
    assert vectors.shape == (40, 39)
    standard = standardised(embeddings)
    for one, other, third in ((0, 1, 2), (5, 9, 3), (39, 11, 7)):
        for sign in (1, -1):
            expected = cosine(standard[one] + sign * standard[other], standard[third])
            found = cosine(vectors[one] + sign * vectors[other], vectors[third])
            assert found == pytest.approx(expected, abs=1e-3)


def test_dimensions_count_alike_whatever_their_scale():
    embeddings = drawn(40, 60)
    scaled = embeddings * torch.logspace(-3, 3, 60)
    scaled[:, 7] = embeddings[:, 7] = 1.0  # one that never differs counts for nothing
    found, expected = page_vectors(scaled).astype(float), page_vectors(embeddings).astype(float)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-3 * 32767**2)


def test_the_components_that_are_kept_are_those_of_most_difference():
    embeddings = drawn(300, 5) @ drawn(5, 400, seed=1) + 0.3 * drawn(300, 400, seed=2)
    vectors = page_vectors(embeddings).astype(float)
    assert vectors.shape == (300, MOST_COMPONENTS)
    spread = vectors.var(axis=0)
    assert (np.diff(spread) <= 0).all()
    assert spread[:5].sum() > 0.9 * spread.sum()
    standard = standardised(embeddings)
    for row in range(0, 300, 10):
        expected = [cosine(standard[row], each) for each in standard]
        found = [cosine(vectors[row], each) for each in vectors]
        np.testing.assert_allclose(found, expected, atol=0.1)


@pytest.mark.parametrize("n_clips", [1, 4])
def test_clips_that_are_all_equal(n_clips):
    vectors = page_vectors(torch.full((n_clips, 8), 3.0))
    assert vectors.tolist() == [[0]] * n_clips
    assert map_positions(vectors).tolist() == [[32768, 32768]] * n_clips


def test_two_clips_are_opposite():
    vectors = page_vectors(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert sorted(vectors.flatten().tolist()) == [-32767, 32767]
    assert sorted(map_positions(vectors)[:, 0].tolist()) == [0, 65535]


def groups(n_groups=3, n_each=15, dim=8):
    centres = np.eye(n_groups, dim) * 20_000
    noise = np.random.default_rng(0).normal(0, 500, (n_groups, n_each, dim))
    return (centres[:, None] + noise).reshape(-1, dim).astype(np.int16)


def test_the_map_keeps_together_what_is_alike():
    positions = map_positions(groups()).astype(float)
    assert positions.min() == 0
    assert positions.max() == 65535
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    group = np.arange(45) // 15
    assert (group[distances.argmin(axis=1)] == group).all()


def test_directions_count_and_not_lengths():
    vectors = groups()
    vectors[::15] //= 50  # one of each group: by their lengths these three would be together
    positions = map_positions(vectors).astype(float)
    for row in (0, 15, 30):
        distances = np.linalg.norm(positions - positions[row], axis=1)
        distances[row] = np.inf
        assert distances.argmin() // 15 == row // 15


def test_the_same_vectors_give_the_same_map():
    assert map_positions(groups()).tobytes() == map_positions(groups()).tobytes()


@pytest.mark.parametrize("n_clips", [2, 3, 5, 6, 8])
def test_few_clips(n_clips):
    positions = map_positions(page_vectors(drawn(n_clips, 10)))
    assert positions.shape == (n_clips, 2)
    assert len({tuple(each) for each in positions.tolist()}) == n_clips


def test_features_that_vary_by_rounding_count_for_nothing():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(40, 4)).astype(np.float32)
    constant = np.full((40, 60), 0.1, np.float32)
    constant[rng.random(constant.shape) < 0.5] = np.nextafter(np.float32(0.1), np.float32(1))
    with_constants = page_vectors(torch.from_numpy(np.hstack([real, constant])))
    alone = page_vectors(torch.from_numpy(real))
    np.testing.assert_allclose(cosines(with_constants), cosines(alone), atol=1e-3)


def cosines(vectors):
    unit = vectors / np.linalg.norm(vectors.astype(float), axis=1, keepdims=True)
    return unit @ unit.T
