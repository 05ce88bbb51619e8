"""The training loss: the BYOL term and the difference term at their weights, from two views.

The one place where the method departs from BYOL-A. At weight 0 it is BYOL-A to the bit. Further
terms and another kind of mixture, off by default, are ours.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from byola_diff.config import ObjectiveConfig
from byola_diff.losses.byol import byol_loss
from byola_diff.losses.difference import mix_with_neighbour, subtract_neighbour
from byola_diff.losses.sum import uncorrelated_loss, weighted_sum
from byola_diff.losses.variance import variance_covariance_loss
from byola_diff.models.cnn import hold_running_statistics
from byola_diff.models.pair import Branch, OnlineTargetPair


class Mixture(NamedTuple):
    """A view mixed with its neighbours, or the representation of that, and their shares."""

    content: Float[Tensor, "batch *rest"]
    rate: Float[Tensor, " batch"]


class Objective(ObjectiveConfig):
    """(1 - weight) BYOL + weight difference, both summed over the two directions.

    Where their weights are above 0, the sum term and that of variance and covariance are added.

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
        log_scale: float | Float[Tensor, ""] = 1.0,
        short: Sequence[Float[Tensor, "batch 1 mel half_frame"]] = (),
    ) -> dict[str, Float[Tensor, "..."]]:
        """`terms` at rates that are drawn here."""
        rates = self.draw_rates(first, generator)
        return self.terms(pair, first, second, rates, log_scale, short)

    def draw_rates(
        self, view: Float[Tensor, "batch 1 mel frame"], generator: torch.Generator
    ) -> list[Float[Tensor, " batch"]]:
        """The neighbour's share for each clip, of each mixture that some term needs."""
        if self.difference_weight == self.sum_weight == 0:
            return []
        low, high = self.rate_range
        draws = [
            torch.rand(len(view), device=view.device, generator=generator)
            for _ in range(2 if self.symmetric else 1)
        ]
        return [low + (high - low) * draw for draw in draws]

    def terms(
        self,
        pair: OnlineTargetPair,
        first: Float[Tensor, "batch 1 mel frame"],
        second: Float[Tensor, "batch 1 mel frame"],
        rates: Sequence[Float[Tensor, " batch"]],
        log_scale: float | Float[Tensor, ""] = 1.0,
        short: Sequence[Float[Tensor, "batch 1 mel half_frame"]] = (),
    ) -> dict[str, Float[Tensor, "..."]]:
        """Scalars `total` and `byol`, the mean of the views; the first view's `representation`.

        Above weight 0 `difference` and `sum`, and with either the mean of the mixtures, too.

        `log_scale` is what a step of 1 in the views is in the logarithm of power; it is used where
        `mixture_domain` is "power". Each of the `short` views predicts the mean of both targets;
        together they count as much in `byol` as the two directions.
        """
        mixtures = self._mix((first, second), rates, log_scale)
        mixed = self._represent_mixtures(pair.online, mixtures)
        # One pass per view, so that each is normalised by its own batch statistics.
        online = pair.online.represent(first), pair.online.represent(second)
        # In the order of the published code, so that dropout draws alike; then crossed.
        parts = [pair.target.represent(view) for view in (first, second)]
        targets = [pair.target.projector(part).float() for part in parts][::-1]
        projections = [pair.online.projector(each) for each in online]
        predictions = [pair.predictor(each).float() for each in projections]
        byol = byol_loss(predictions[0], targets[0]) + byol_loss(predictions[1], targets[1])
        if short:
            byol = byol + 2 * self._short(pair, short, targets)
        terms = {"total": byol, "byol": byol.detach(), "representation": online[0].detach()}
        terms["view_mean"] = _mean([first, second])
        if mixtures:
            terms["mixture_mean"] = _mean([each.content for each in mixtures])
        if (weight := self.difference_weight) > 0:
            difference = self._difference(pair, mixed, online, targets)
            terms["total"] = (1 - weight) * byol + weight * difference
            terms["difference"] = difference.detach()
        if self.sum_weight > 0:
            total = self._sum(pair, mixed, parts)
            terms["total"] = terms["total"] + self.sum_weight * total
            terms["sum"] = total.detach()
        if self.variance_weight > 0:
            spread = sum(variance_covariance_loss(each.float()) for each in projections)
            terms["total"] = terms["total"] + self.variance_weight * spread
        return terms

    def _short(
        self, pair: OnlineTargetPair, short: Sequence[Tensor], targets: list[Tensor]
    ) -> Tensor:
        """Mean of the BYOL term over short views, with the mean direction of both targets."""
        target = torch.stack([normalize(each, dim=-1) for each in targets]).mean(0)
        losses = [
            byol_loss(self._predict(pair, pair.predictor, pair.online.represent(view)), target)
            for view in short
        ]
        return torch.stack(losses).mean()

    def _mix(
        self, views: tuple[Tensor, Tensor], rates: Sequence[Tensor], log_scale: float | Tensor
    ) -> list[Mixture]:
        """Mixtures of the first of the views, of as many as there are rates."""
        mixtures = []
        for view, rate in zip(views, rates, strict=False):
            if self.mixture_domain == "power":
                mixture = mix_with_neighbour(view * log_scale, rate) / log_scale
            else:
                mixture = mix_with_neighbour(view, rate)
            if self.renormalize_mixture:
                std, mean = torch.std_mean(mixture)
                mixture = (mixture - mean) / std.clamp_min(torch.finfo(std.dtype).eps)
            mixtures.append(Mixture(mixture, rate))
        return mixtures

    def _represent_mixtures(self, online: Branch, mixtures: list[Mixture]) -> list[Mixture]:
        """Representation of each mixture, with its rates."""
        # An encoder in use meets clean sounds: statistics of mixtures, which are louder and more
        # even, would shift all that it says, and only at weights above 0.
        holds = self.running_statistics == "views"
        with hold_running_statistics(online.encoder) if holds else nullcontext():
            return [Mixture(online.represent(mixture), rate) for mixture, rate in mixtures]

    def _difference(
        self,
        pair: OnlineTargetPair,
        mixed: list[Mixture],
        online: tuple[Tensor, ...],
        targets: list[Tensor],
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

    def _sum(self, pair: OnlineTargetPair, mixed: list[Mixture], parts: list[Tensor]) -> Tensor:
        """The sum term over the directions there are; `parts` are of the target network."""
        loss = torch.zeros((), device=parts[0].device)
        for (mixture, rate), part in zip(mixed, parts, strict=False):
            wanted = weighted_sum(part, rate)
            if self.sum_space == "representation":
                loss = loss + uncorrelated_loss(mixture, wanted)
                continue
            if pair.sum_predictor is None:
                raise ValueError("the pair was built without predicts_sums, for weight 0 only")
            prediction = self._predict(pair, pair.sum_predictor, mixture)
            loss = loss + byol_loss(prediction, pair.target.projector(wanted).float())
        return loss

    @staticmethod
    def _predict(pair: OnlineTargetPair, predictor: nn.Module, representation: Tensor) -> Tensor:
        return predictor(pair.online.projector(representation)).float()


def _mean(parts: Sequence[Tensor]) -> Tensor:
    """Mean of the means, for parts of one size that of all values."""
    return torch.stack([part.mean() for part in parts]).mean()
