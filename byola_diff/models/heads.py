"""Projector and predictor: one shape of MLP."""

from torch import nn


def mlp_head(dim_in: int, dim_hidden: int = 4096, dim_out: int = 256) -> nn.Sequential:
    """Linear, batch normalisation, ReLU, linear; no normalisation of the output.

    Source:
        Grill et al., 2020, "Bootstrap your own latent", Sec. 3.3; sizes of BYOL-A.
    """
    return nn.Sequential(
        nn.Linear(dim_in, dim_hidden),
        nn.BatchNorm1d(dim_hidden),
        nn.ReLU(),
        nn.Linear(dim_hidden, dim_out),
    )
