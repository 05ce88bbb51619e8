"""Probes with hidden layers, trained on the same batches.

Hidden layers of a thousand units fill a processor alone, so each probe is a module of its own, and
one backward pass goes through all of them.
"""

import copy
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from byola_diff.probing.linear_stack import Targets
from byola_diff.probing.protocols import Initialisation, ProbeSettings
from byola_diff.randomness import derive_seed


class MlpStack:
    """Probes of one seed, of any number of hidden layers.

    Source:
        heareval/predictions/task_predictions.py of the HEAR evaluation kit: hidden layers are
        Linear, BatchNorm, Dropout, ReLU.
    """

    def __init__(
        self,
        settings: Sequence[ProbeSettings],
        n_features: int,
        n_classes: int,
        *,
        weight_decay: float,
        device: torch.device | str = "cpu",
    ) -> None:
        """Draw the weights of each probe by its seed."""
        self._seeds = [probe.seed for probe in settings]
        self._models = [_mlp(probe, n_features, n_classes).to(device) for probe in settings]
        groups = [
            {"params": list(model.parameters()), "lr": probe.learning_rate}
            for model, probe in zip(self._models, settings, strict=True)
        ]
        self._optimizer = torch.optim.Adam(groups, weight_decay=weight_decay)
        self._n_steps = 0
        device = torch.device(device)
        self._generators = [device] if device.type == "cuda" else []

    def step(self, features: Float[Tensor, "clip dim"], targets: Targets) -> None:
        """One Adam step of every probe on one batch."""
        self._optimizer.zero_grad()
        losses = []
        for model, seed in zip(self._models, self._seeds, strict=True):
            # Dropout draws from the global generator: the same for a probe alone or among others.
            with torch.random.fork_rng(devices=self._generators):
                torch.manual_seed(derive_seed("probe dropout", seed, self._n_steps))
                logits = model.train()(features)
            if targets.ndim == 2:
                losses.append(functional.binary_cross_entropy_with_logits(logits, targets))
            else:
                losses.append(functional.cross_entropy(logits, targets))
        torch.stack(losses).sum().backward()
        self._optimizer.step()
        self._n_steps += 1

    @torch.no_grad()
    def logits(self, features: Float[Tensor, "clip dim"]) -> Float[Tensor, "clip model class"]:
        """Logits of all probes."""
        return torch.stack([model.eval()(features) for model in self._models], dim=1)

    def copy_of(self, model: int) -> nn.Module:
        """One probe, in eval mode."""
        return copy.deepcopy(self._models[model]).eval().requires_grad_(False)

    def keep(self, models: Sequence[int]) -> None:
        """Drop all other probes."""
        self._models = [self._models[model] for model in models]
        self._seeds = [self._seeds[model] for model in models]
        self._optimizer.param_groups[:] = [self._optimizer.param_groups[m] for m in models]
        kept = {p for model in self._models for p in model.parameters()}
        for parameter in self._optimizer.state.keys() - kept:
            del self._optimizer.state[parameter]


def _mlp(settings: ProbeSettings, n_features: int, n_classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    width = n_features
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("probe weights", settings.seed))
        for hidden in range(settings.hidden_layers):
            # The gain is that of what comes before: nothing, or a ReLU.
            gain = 1.0 if hidden == 0 else math.sqrt(2)
            layers += [
                _linear(width, settings.hidden_dim, settings.initialisation, gain),
                nn.BatchNorm1d(settings.hidden_dim),
                nn.Dropout(settings.dropout),
                nn.ReLU(),
            ]
            width = settings.hidden_dim
        gain = math.sqrt(2) if settings.hidden_layers else 1.0
        layers.append(_linear(width, n_classes, settings.initialisation, gain))
    return nn.Sequential(*layers)


def _linear(n_in: int, n_out: int, initialisation: Initialisation, gain: float) -> nn.Linear:
    linear = nn.Linear(n_in, n_out)
    if initialisation == "xavier_uniform":
        nn.init.xavier_uniform_(linear.weight, gain)
    elif initialisation == "xavier_normal":
        nn.init.xavier_normal_(linear.weight, gain)
    return linear
