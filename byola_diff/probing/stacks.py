"""Probes trained on the same batches: linear ones as one matrix, those with hidden layers in turn.

The weights of linear probes are stacked, so the logits of all are one product with the batch and
all gradients another. Each is what `nn.Linear`, `torch.optim.Adam` and cross-entropy would give it
alone: gradients are written out by hand to fill buffers that are allocated once. Hidden layers of a
thousand units fill a processor alone, so such a probe is a module of its own, and one backward pass
goes through all of them.
"""

import copy
import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from byola_diff.probing.protocols import ProbeSettings, TrainingRules
from byola_diff.randomness import derive_seed, torch_generator

Targets = Int[Tensor, " clip"] | Float[Tensor, "clip class"]
"""A class for each clip; or ones and zeros, where a clip may have several."""

Network = Callable[[Float[Tensor, "clip dim"]], Float[Tensor, "clip class"]]
"""A probe for use, which no longer changes."""


def probe_loss(logits: Float[Tensor, "clip class"], targets: Targets) -> Float[Tensor, ""]:
    """Mean cross-entropy; of several labels, binary cross-entropy of each class."""
    if targets.ndim == 2:
        return functional.binary_cross_entropy_with_logits(logits, targets)
    return functional.cross_entropy(logits, targets)


class LinearStack:
    """Probes `[model]` of one seed, each a linear layer with its own learning rate."""

    def __init__(
        self,
        settings: Sequence[ProbeSettings],
        rules: TrainingRules,
        n_features: int,
        n_classes: int,
        device: torch.device,
    ) -> None:
        """All probes begin with the same weights: those of `nn.Linear`, drawn by the seed."""
        bound = n_features**-0.5
        generator = torch_generator("probe weights", settings[0].seed)
        weight = torch.empty(n_classes, n_features).uniform_(-bound, bound, generator=generator)
        bias = torch.empty(n_classes).uniform_(-bound, bound, generator=generator)
        self.n_classes, self._rules = n_classes, rules
        weight, bias = weight.repeat(len(settings), 1), bias.repeat(len(settings))
        learning_rates = [probe.learning_rate for probe in settings]
        self._fill(weight.to(device), bias.to(device), learning_rates)

    def step(self, features: Float[Tensor, "clip dim"], targets: Targets) -> None:
        """One Adam step of every probe on one batch."""
        logits = self.logits(features)
        residual = _residual(logits, targets)
        # The mean over clips; of several labels also over classes.
        scale = len(features)
        if targets.ndim == 2 or self._rules.divide_by_classes:
            scale *= self.n_classes
        residual = residual.div_(scale).flatten(1)  # [clip, model * class]
        torch.mm(residual.T, features, out=self._weight_grad)
        torch.sum(residual, dim=0, out=self._bias_grad)
        self._optimizer.step()

    def logits(self, features: Float[Tensor, "clip dim"]) -> Float[Tensor, "clip model class"]:
        """Logits of all probes."""
        logits = torch.addmm(self._bias, features, self._weight.T)
        return logits.unflatten(1, (-1, self.n_classes))

    def copy_of(self, model: int) -> Network:
        """One probe, as it is now."""
        rows = self._rows(model)
        weight, bias = self._weight[rows].clone(), self._bias[rows].clone()
        return partial(functional.linear, weight=weight, bias=bias)

    def keep(self, models: Sequence[int]) -> None:
        """Drop all other probes; the state of Adam stays with those kept."""
        rows = torch.cat([torch.arange(self.n_classes) + m * self.n_classes for m in models])
        rows = rows.to(self._weight.device)
        old = self._optimizer.state
        kept = [self._optimizer.param_groups[model] for model in models]
        states = [old[parameter] for group in kept for parameter in group["params"]]
        self._fill(self._weight[rows], self._bias[rows], [group["lr"] for group in kept])
        parameters = [p for group in self._optimizer.param_groups for p in group["params"]]
        self._optimizer.state.update(zip(parameters, states, strict=True))

    def _fill(self, weight: Tensor, bias: Tensor, learning_rates: Sequence[float]) -> None:
        self._weight, self._bias = weight, bias
        self._weight_grad, self._bias_grad = torch.empty_like(weight), torch.empty_like(bias)
        groups = []
        for model, learning_rate in enumerate(learning_rates):
            # Leaves that share the memory of the stack, so that Adam can treat each probe alone.
            rows = self._rows(model)
            weights, biases = nn.Parameter(weight[rows]), nn.Parameter(bias[rows])
            weights.grad, biases.grad = self._weight_grad[rows], self._bias_grad[rows]
            groups.append({"params": [weights, biases], "lr": learning_rate})
        self._optimizer = torch.optim.Adam(
            groups, weight_decay=self._rules.weight_decay, fused=True
        )

    def _rows(self, model: int) -> slice:
        return slice(model * self.n_classes, (model + 1) * self.n_classes)


class MlpStack:
    """Probes of one seed, of any number of hidden layers.

    Source:
        heareval/predictions/task_predictions.py of the HEAR evaluation kit: hidden layers are
        Linear, BatchNorm, Dropout, ReLU.
    """

    def __init__(
        self,
        settings: Sequence[ProbeSettings],
        rules: TrainingRules,
        n_features: int,
        n_classes: int,
        device: torch.device,
    ) -> None:
        """Draw the weights of each probe by its seed."""
        self._seed = settings[0].seed
        self._models = [_mlp(probe, n_features, n_classes).to(device) for probe in settings]
        self._optimizers = [
            torch.optim.Adam(
                model.parameters(), probe.learning_rate, weight_decay=rules.weight_decay
            )
            for model, probe in zip(self._models, settings, strict=True)
        ]
        self._n_steps = 0
        self._generators = [device] if device.type == "cuda" else []

    def step(self, features: Float[Tensor, "clip dim"], targets: Targets) -> None:
        """One Adam step of every probe on one batch."""
        losses = []
        for model in self._models:
            model.zero_grad()
            # Dropout draws from the global generator: the same for a probe alone or among others.
            with torch.random.fork_rng(devices=self._generators):
                torch.manual_seed(derive_seed("probe dropout", self._seed, self._n_steps))
                logits = model.train()(features)
            losses.append(probe_loss(logits, targets))
        torch.stack(losses).sum().backward()
        for optimizer in self._optimizers:
            optimizer.step()
        self._n_steps += 1

    @torch.no_grad()
    def logits(self, features: Float[Tensor, "clip dim"]) -> Float[Tensor, "clip model class"]:
        """Logits of all probes."""
        return torch.stack([model.eval()(features) for model in self._models], dim=1)

    def copy_of(self, model: int) -> Network:
        """One probe, as it is now, in eval mode."""
        return copy.deepcopy(self._models[model]).eval().requires_grad_(False)

    def keep(self, models: Sequence[int]) -> None:
        """Drop all other probes."""
        self._models = [self._models[model] for model in models]
        self._optimizers = [self._optimizers[model] for model in models]


def _residual(
    logits: Float[Tensor, "clip model class"], targets: Targets
) -> Float[Tensor, "clip model class"]:
    """Gradient of the summed loss by the logits: what is predicted minus what is true."""
    if targets.ndim == 2:
        return logits.sigmoid_().sub_(targets[:, None])
    residual = logits.softmax(dim=2)
    place = targets[:, None, None].expand(-1, residual.shape[1], 1)
    return residual.scatter_add_(2, place, residual.new_full(place.shape, -1.0))


def _mlp(settings: ProbeSettings, n_features: int, n_classes: int) -> nn.Sequential:
    widths = [n_features, *[settings.hidden_dim] * settings.hidden_layers, n_classes]
    xavier = {"xavier_uniform": nn.init.xavier_uniform_, "xavier_normal": nn.init.xavier_normal_}
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("probe weights", settings.seed))
        for n_in, n_out in pairwise(widths):
            linear = nn.Linear(n_in, n_out)
            if initialise := xavier.get(settings.initialisation):
                # The gain is that of what comes before: nothing, or a ReLU.
                initialise(linear.weight, math.sqrt(2) if layers else 1.0)
            layers += [linear, nn.BatchNorm1d(n_out), nn.Dropout(settings.dropout), nn.ReLU()]
    return nn.Sequential(*layers[:-3])  # the last has nothing behind it
