"""Vectors of a page: by which sounds are alike in it, added and subtracted, and put on the map.

Embeddings, standardised over the page's clips and turned to the axes along which these differ most,
of which the first are kept. Sums and differences of embeddings stay sums and differences. The page
compares directions, so that one common scale does not matter: values are 16-bit whole numbers.
"""

from types import ModuleType

import numpy as np
from jaxtyping import Float, Float32, Int16, UInt16
from torch import Tensor

from byola_diff.optional import require
from byola_diff.probing.standard import mean_and_deviation

_EXTRA = "explore"
MOST_COMPONENTS = 128
"""Largest number of components of a vector."""
_PERPLEXITY = 30.0
_LARGEST = 32767
_MOST_STRETCH = 2.0
"""Largest ratio of the sides of the map."""
_FEW = 5
"""Clips, below which there is nothing to arrange: they lie along their first two components."""


def page_vectors(embeddings: Float32[Tensor, "clip dim"]) -> Int16[np.ndarray, "clip component"]:
    """The embeddings, standardised, in their first principal components, by a common scale.

    Of clips that are all equal, or of one, they are 0.

    Raises:
        ModuleNotFoundError: If scikit-learn is absent; it names the extra.
    """
    values = embeddings.double().numpy()
    if not np.ptp(values, axis=0).any():
        return np.zeros((len(values), 1), np.int16)
    mean, deviation = mean_and_deviation(values)
    values = (values - mean) / deviation
    n_components = min(MOST_COMPONENTS, len(values) - 1, values.shape[1])
    decomposition = page_module("sklearn.decomposition")
    with page_module("threadpoolctl").threadpool_limits(1):
        components = decomposition.PCA(n_components, random_state=0).fit_transform(values)
    return whole_numbers(components)


def whole_numbers(vectors: Float[np.ndarray, "row dim"]) -> Int16[np.ndarray, "row dim"]:
    """The vectors by one common scale, at which the largest number is that of 16 bits."""
    largest = np.abs(vectors).max()
    scaled = vectors * (_LARGEST / largest) if largest > 0 else np.zeros_like(vectors)
    return np.rint(scaled).astype(np.int16)


def map_positions(
    vectors: Int16[np.ndarray, "clip component"],
) -> UInt16[np.ndarray, "clip xy"]:
    """Where each clip lies on the map, from 0 to 65535 each way.

    By t-SNE, in which clips whose vectors have similar directions are close; large distances mean
    little. The same vectors give the same map.

    Source:
        van der Maaten and Hinton, 2008, "Visualizing data using t-SNE".

    Raises:
        ModuleNotFoundError: If scikit-learn is absent; it names the extra.
    """
    values = vectors.astype(np.float64)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    directions = np.divide(values, lengths, out=np.zeros_like(values), where=lengths > 0)
    start = np.zeros((len(values), 2))
    start[:, : values.shape[1]] = directions[:, :2]
    spread = start.std(axis=0).max()
    if len(values) < _FEW or spread == 0:
        return _on_map(start)
    manifold = page_module("sklearn.manifold")
    arrangement = manifold.TSNE(
        perplexity=min(_PERPLEXITY, (len(values) - 1) / 3),
        # The deviation that the authors start with.
        init=(start / spread * 1e-4).astype(np.float32),
        random_state=0,
        n_jobs=1,
    )
    # Sums in another order would end in another map.
    with page_module("threadpoolctl").threadpool_limits(1):
        return _on_map(arrangement.fit_transform(directions.astype(np.float32)))


def _on_map(positions: Float[np.ndarray, "clip xy"]) -> UInt16[np.ndarray, "clip xy"]:
    """The positions in their range; of a long and narrow map the shorter side is up to doubled."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    longer = (high - low).max()
    spans = np.maximum(high - low, longer / _MOST_STRETCH)
    share = (positions - (low + high) / 2) / (spans if longer > 0 else 1.0) + 0.5
    return np.rint(share * 65535).astype(np.uint16)


def page_module(name: str) -> ModuleType:
    """A module that pages are made with.

    Raises:
        ModuleNotFoundError: If it is absent; names the extra.
    """
    return require(name, _EXTRA, "a page to explore sounds")
