"""The online network and its averaged twin, the target network."""

import copy
from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.models.cnn import AudioNTT
from byola_diff.models.pooling import mean_max_pool_float32


class Branch(nn.Module):
    """Encoder and projector: what the online and the target network have in common."""

    uses_torch_compile = False
    """Whether `torch.compile` fuses the operations of `represent`."""

    def __init__(self, encoder: AudioNTT, projection_hidden: int, projection_dim: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = mlp_head(encoder.dim, projection_hidden, projection_dim)

    def represent(self, view: Float[Tensor, "batch 1 mel frame"]) -> Float[Tensor, "batch dim"]:
        """Pooled representation, always float32: losses must not see autocast's rounding."""
        return (_compiled_represent() if self.uses_torch_compile else _represent)(
            self.encoder, view
        )

    def forward(
        self, view: Float[Tensor, "batch 1 mel frame"]
    ) -> Float[Tensor, "batch projection"]:
        """Projection of the view."""
        return self.projector(self.represent(view)).float()


class OnlineTargetPair(nn.Module):
    """Online branch with its predictors, and the target branch that follows it.

    The target starts as a copy, holds no weight that takes a gradient, and stays in train mode: it
    normalises by its own batch statistics and drops out like the online branch.
    """

    def __init__(
        self,
        encoder: AudioNTT,
        projection_hidden: int = 4096,
        projection_dim: int = 256,
        predicts_differences: bool = True,
        predicts_sums: bool = False,
    ) -> None:
        """Build all networks; the encoder is the online one, and copied for the target.

        Widths are of projector and predictors. Without predictors of differences and of sums the
        pair is plain BYOL: same weights from the same seed, no parameter without gradient.
        """
        super().__init__()
        self.online = Branch(encoder, projection_hidden, projection_dim)
        widths = (projection_dim, projection_hidden, projection_dim)
        self.predictor = mlp_head(*widths)
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        # Made last, so that the weights above do not depend on whether it exists.
        self.difference_predictor = mlp_head(*widths) if predicts_differences else None
        self.sum_predictor = mlp_head(*widths) if predicts_sums else None


def _represent(encoder: nn.Module, view: Tensor) -> Tensor:
    return mean_max_pool_float32(encoder(view))


@cache
def _compiled_represent() -> Callable[[nn.Module, Tensor], Tensor]:
    # Here rather than around the whole loss, whose passes would be compiled one by one.
    return torch.compile(_represent, dynamic=False)


def mlp_head(dim_in: int, dim_hidden: int = 4096, dim_out: int = 256) -> nn.Sequential:
    """A projector or predictor: linear, batch normalisation, ReLU, linear; not normalised.

    Source:
        Grill et al., 2020, "Bootstrap your own latent", Sec. 3.3; sizes of BYOL-A.
    """
    return nn.Sequential(
        nn.Linear(dim_in, dim_hidden),
        nn.BatchNorm1d(dim_hidden),
        nn.ReLU(),
        nn.Linear(dim_hidden, dim_out),
    )


@torch.no_grad()
def update_target(online: nn.Module, target: nn.Module, decay: float) -> None:
    """Move each target weight a step of (1 - decay) towards its online twin, in place.

    Buffers stay: the target runs in train mode and keeps its own batch-norm statistics.

    Raises:
        ValueError: If the two networks have different parameter names.

    Source:
        Grill et al., 2020, "Bootstrap your own latent", Eq. 1.
    """
    new, old = dict(online.named_parameters()), dict(target.named_parameters())
    if new.keys() != old.keys():
        raise ValueError(f"online and target differ in {sorted(new.keys() ^ old.keys())}")
    # One fused call over all tensors: a loop of lerp_ is ten times slower on a GPU.
    torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
        list(old.values()), [new[name] for name in old], 1 - decay
    )
