"""The training loss: the BYOL term and the difference term at their weights, from two views.

The one place where the method departs from BYOL-A. At weight 0 it is BYOL-A to the bit.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.config import ObjectiveConfig
from byola_diff.losses.byol import byol_loss
from byola_diff.losses.difference import mix_with_neighbour, subtract_neighbour
from byola_diff.models.pair import OnlineTargetPair


class Objective(ObjectiveConfig):
    """(1 - weight) BYOL + weight difference, both summed over the two directions.

    Source:
        Takeuchi et al., 2024, "Towards learning a difference-aware general-purpose audio
        representation", Eqs. 1-3.
    """

    def __call__(
        self,
        pair: OnlineTargetPair,
        first: Float[Tensor, "batch 1 mel frame"],
        second: Float[Tensor, "batch 1 mel frame"],
        generator: torch.Generator,
    ) -> dict[str, Float[Tensor, "..."]]:
        """Scalars `total`, `byol`, `difference`; and the first view's `representation`."""
        mixed = self._represent_mixtures(pair, (first, second), generator)
        # One pass per view, so that each is normalised by its own batch statistics; the mixtures
        # went first, so that the running statistics end on clean sounds.
        online = pair.online.represent(first), pair.online.represent(second)
        # In the order of the published code, so that dropout draws alike; then crossed.
        targets = (pair.target(first), pair.target(second))[::-1]
        one_way, other_way = (
            byol_loss(self._predict(pair, pair.predictor, representation), target)
            for representation, target in zip(online, targets, strict=True)
        )
        byol = one_way + other_way
        terms = {"total": byol, "byol": byol.detach(), "representation": online[0].detach()}
        if mixed:
            difference = self._difference(pair, mixed, online, targets)
            weight = self.difference_weight
            terms["total"] = (1 - weight) * byol + weight * difference
            terms["difference"] = difference.detach()
        return terms

    def _represent_mixtures(
        self, pair: OnlineTargetPair, views: tuple[Tensor, Tensor], generator: torch.Generator
    ) -> list[tuple[Tensor, Tensor]]:
        """Representation of each view's mixture, and its rates; empty at weight 0."""
        if self.difference_weight == 0:
            return []
        mixed = []
        low, high = self.rate_range
        for view in views if self.symmetric else views[:1]:
            draws = torch.rand(len(view), device=view.device, generator=generator)
            rate = low + (high - low) * draws
            mixture = mix_with_neighbour(view, rate)
            if self.renormalize_mixture:
                std, mean = torch.std_mean(mixture)
                mixture = (mixture - mean) / std.clamp_min(torch.finfo(std.dtype).eps)
            mixed.append((pair.online.represent(mixture), rate))
        return mixed

    def _difference(
        self,
        pair: OnlineTargetPair,
        mixed: list[tuple[Tensor, Tensor]],
        online: tuple[Tensor, ...],
        targets: tuple[Tensor, ...],
    ) -> Tensor:
        """Eq. 3, summed over the directions there are."""
        if pair.difference_predictor is None:
            raise ValueError("the pair was built without predicts_differences, for weight 0 only")
        loss = torch.zeros((), device=targets[0].device)
        for (mixture, rate), reference, target in zip(mixed, online, targets, strict=False):
            reference = reference.detach() if self.detach_reference else reference
            remaining = subtract_neighbour(mixture, reference, rate)
            prediction = self._predict(pair, pair.difference_predictor, remaining)
            loss = loss + byol_loss(prediction, target)
        return loss

    @staticmethod
    def _predict(pair: OnlineTargetPair, predictor: nn.Module, representation: Tensor) -> Tensor:
        return predictor(pair.online.projector(representation)).float()
