"""The training loss: the BYOL term and the difference term at their weights, from two views.

The one place where the method departs from BYOL-A. At weight 0 it is BYOL-A to the bit.
"""

from contextlib import nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.config import ObjectiveConfig
from byola_diff.losses.byol import byol_loss
from byola_diff.losses.difference import mix_with_neighbour, subtract_neighbour
from byola_diff.models.cnn import hold_running_statistics
from byola_diff.models.pair import Branch, OnlineTargetPair


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
        """Scalars `total` and `byol`, the mean of the views; the first view's `representation`.

        Above weight 0 `difference` and the mean of the mixtures too.
        """
        mixtures = self._mix((first, second), generator)
        mixed = self._represent_mixtures(pair.online, mixtures)
        # One pass per view, so that each is normalised by its own batch statistics.
        online = pair.online.represent(first), pair.online.represent(second)
        # In the order of the published code, so that dropout draws alike; then crossed.
        targets = (pair.target(first), pair.target(second))[::-1]
        one_way, other_way = (
            byol_loss(self._predict(pair, pair.predictor, representation), target)
            for representation, target in zip(online, targets, strict=True)
        )
        byol = one_way + other_way
        terms = {"total": byol, "byol": byol.detach(), "representation": online[0].detach()}
        terms["view_mean"] = torch.stack([first.mean(), second.mean()]).mean()
        if mixtures:
            terms["mixture_mean"] = torch.stack([mixture.mean() for mixture, _ in mixtures]).mean()
            difference = self._difference(pair, mixed, online, targets)
            weight = self.difference_weight
            terms["total"] = (1 - weight) * byol + weight * difference
            terms["difference"] = difference.detach()
        return terms

    def _mix(
        self, views: tuple[Tensor, Tensor], generator: torch.Generator
    ) -> list[tuple[Tensor, Tensor]]:
        """Each view's mixture, and its rates; empty at weight 0."""
        if self.difference_weight == 0:
            return []
        mixtures = []
        low, high = self.rate_range
        for view in views if self.symmetric else views[:1]:
            draws = torch.rand(len(view), device=view.device, generator=generator)
            rate = low + (high - low) * draws
            mixture = mix_with_neighbour(view, rate)
            if self.renormalize_mixture:
                std, mean = torch.std_mean(mixture)
                mixture = (mixture - mean) / std.clamp_min(torch.finfo(std.dtype).eps)
            mixtures.append((mixture, rate))
        return mixtures

    def _represent_mixtures(
        self, online: Branch, mixtures: list[tuple[Tensor, Tensor]]
    ) -> list[tuple[Tensor, Tensor]]:
        """Representation of each mixture, with its rates."""
        # An encoder in use meets clean sounds: statistics of mixtures, which are louder and more
        # even, would shift all that it says, and only at weights above 0.
        holds = self.running_statistics == "views"
        with hold_running_statistics(online.encoder) if holds else nullcontext():
            return [(online.represent(mixture), rate) for mixture, rate in mixtures]

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
