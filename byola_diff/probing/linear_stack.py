"""Linear probes of many learning rates, trained on the same batches as one matrix.

Their weights are stacked, so the logits of all probes are one product with the batch and all
gradients another. Each probe is what `nn.Linear`, `torch.optim.Adam` and cross-entropy would give
it alone: gradients are written out by hand to fill buffers that are allocated once.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from byola_diff.randomness import torch_generator

Targets = Int[Tensor, " clip"] | Float[Tensor, "clip class"]
"""A class for each clip; or ones and zeros, where a clip may have several."""


class LinearStack:
    """Probes `[model]` of one seed, each a linear layer with its own learning rate."""

    def __init__(
        self,
        learning_rates: Sequence[float],
        seed: int,
        n_features: int,
        n_classes: int,
        *,
        weight_decay: float,
        divide_by_classes: bool,
        device: torch.device | str = "cpu",
    ) -> None:
        """All probes begin with the same weights: those of `nn.Linear`, drawn by the seed."""
        bound = n_features**-0.5
        generator = torch_generator("probe weights", seed)
        weight = torch.empty(n_classes, n_features).uniform_(-bound, bound, generator=generator)
        bias = torch.empty(n_classes).uniform_(-bound, bound, generator=generator)
        n_models = len(learning_rates)
        self.n_classes = n_classes
        self.weight_decay, self.divide_by_classes = weight_decay, divide_by_classes
        self._fill(
            weight.repeat(n_models, 1).to(device), bias.repeat(n_models).to(device), learning_rates
        )

    def step(self, features: Float[Tensor, "clip dim"], targets: Targets) -> None:
        """One Adam step of every probe on one batch."""
        logits = self.logits(features)
        residual = _residual(logits, targets)
        # The mean over clips; of several labels also over classes.
        scale = len(features)
        if targets.ndim == 2 or self.divide_by_classes:
            scale *= self.n_classes
        residual = residual.div_(scale).flatten(1)  # [clip, model * class]
        torch.mm(residual.T, features, out=self._weight_grad)
        torch.sum(residual, dim=0, out=self._bias_grad)
        self._optimizer.step()

    def logits(self, features: Float[Tensor, "clip dim"]) -> Float[Tensor, "clip model class"]:
        """Logits of all probes."""
        logits = torch.addmm(self._bias, features, self._weight.T)
        return logits.unflatten(1, (-1, self.n_classes))

    def copy_of(self, model: int) -> tuple[Float[Tensor, "class dim"], Float[Tensor, " class"]]:
        """Weight and bias of one probe."""
        rows = self._rows(model)
        return self._weight[rows].clone(), self._bias[rows].clone()

    def keep(self, models: Sequence[int]) -> None:
        """Drop all other probes; the state of Adam stays with those kept."""
        rows = torch.cat([torch.arange(self.n_classes) + m * self.n_classes for m in models])
        rows = rows.to(self._weight.device)
        groups, old = self._optimizer.param_groups, self._optimizer.state
        state = [[old[p] for p in groups[m]["params"]] for m in models]
        learning_rates = [groups[m]["lr"] for m in models]
        self._fill(self._weight[rows], self._bias[rows], learning_rates)
        for group, states in zip(self._optimizer.param_groups, state, strict=True):
            for parameter, kept in zip(group["params"], states, strict=True):
                self._optimizer.state[parameter] = kept

    def _fill(self, weight: Tensor, bias: Tensor, learning_rates: Sequence[float]) -> None:
        self._weight, self._bias = weight, bias
        self._weight_grad, self._bias_grad = torch.empty_like(weight), torch.empty_like(bias)
        groups = []
        for model, learning_rate in enumerate(learning_rates):
            # Leaves that share the memory of the stack, so that Adam can treat each probe alone.
            rows = self._rows(model)
            parameters = [nn.Parameter(weight[rows]), nn.Parameter(bias[rows])]
            for parameter, grad in zip(
                parameters, (self._weight_grad[rows], self._bias_grad[rows]), strict=True
            ):
                parameter.grad = grad
            groups.append({"params": parameters, "lr": learning_rate})
        self._optimizer = torch.optim.Adam(groups, weight_decay=self.weight_decay, fused=True)

    def _rows(self, model: int) -> slice:
        return slice(model * self.n_classes, (model + 1) * self.n_classes)


def _residual(
    logits: Float[Tensor, "clip model class"], targets: Targets
) -> Float[Tensor, "clip model class"]:
    """Gradient of the summed loss by the logits: what is predicted minus what is true."""
    if targets.ndim == 2:
        return logits.sigmoid_().sub_(targets[:, None])
    residual = logits.softmax(dim=2)
    place = targets[:, None, None].expand(-1, residual.shape[1], 1)
    return residual.scatter_add_(2, place, residual.new_full(place.shape, -1.0))
