"""The sum term: a mixture is represented by what its parts are represented by.

For a mixture w_n of a view v_n and its neighbour, which has the share g_n (see
`byola_diff.losses.difference`), the target is

    s_n = g_n t(v_{n+1}) + (1 - g_n) t(v_n)

with the representations t of the target network. The encoder is drawn towards additivity itself,
where the difference term asks that what is left of a mixture can be told.

Ours, after two ideas: Torres et al., 2025, "Learning linearity in audio consistency autoencoders
via implicit regularization", whose decoder hears sums of codes as mixtures, and Alex et al., 2025,
"SSLAM", whose mixtures predict what their parts' targets come to. Neither has these formulas.
"""

from jaxtyping import Float
from torch import Tensor

from byola_diff.losses.difference import neighbour


def weighted_sum(
    representation: Float[Tensor, "batch dim"], rate: Float[Tensor, " batch"]
) -> Float[Tensor, "batch dim"]:
    """Each representation and its neighbour's, which has the share `rate`: s of the page's head."""
    share = rate[:, None]
    return share * neighbour(representation) + (1 - share) * representation


def uncorrelated_loss(
    found: Float[Tensor, "batch dim"], wanted: Float[Tensor, "batch dim"]
) -> Float[Tensor, ""]:
    """Mean over dimensions of 2 - 2 r, in [0, 4], of their correlations r over the batch.

    A mean that all representations share, and the scale of a dimension, do not count. A dimension
    that is the same for all clips counts as uncorrelated. `wanted` is held constant here, whatever
    the caller did.
    """
    correlation = (_standardized(found) * _standardized(wanted.detach())).mean(0)
    return (2 - 2 * correlation).mean()


def _standardized(values: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
    centred = values - values.mean(0)
    return centred / (centred.square().mean(0) + _FLOOR).sqrt()


_FLOOR = 1e-8
"""Added to variances: dimensions that ReLU holds at 0 have none."""
