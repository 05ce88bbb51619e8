"""The loss and its gradients as two CUDA graphs, each of which is launched as a whole.

A step is about a thousand small operations: up to batches of a few hundred clips, launching them
one by one takes longer than a GPU needs for them (docs/results.md). Recorded are all passes of the
networks, losses and gradients; augmentations, optimiser and the step of the target are not.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

Terms = dict[str, Tensor]


class RecordedTerms:
    """Terms of a loss, recorded when they are first asked for, and replayed from then on.

    A replay repeats each operation on new values: all calls have to give tensors of the same
    shapes, and nothing that changes from step to step can be anything but a tensor.
    """

    def __init__(self, pair: nn.Module, compute: Callable[..., Terms]) -> None:
        """`compute` gives the terms by the weights of `pair`, for arguments as of a call."""
        self._module = _OfPair(pair, compute)
        self._replay: Callable[..., Terms] | None = None

    def __call__(
        self,
        first: Float[Tensor, "batch 1 mel frame"],
        second: Float[Tensor, "batch 1 mel frame"],
        rates: Sequence[Float[Tensor, " batch"]],
        log_scale: Float[Tensor, ""],
        short: Sequence[Float[Tensor, "batch 1 mel half_frame"]],
    ) -> Terms:
        """What `compute` gives; the gradient of `total` flows to the weights."""
        inputs = first, second, list(rates), log_scale, list(short)
        if self._replay is None:
            self._replay = _record(self._module, inputs)
        terms = self._replay(*inputs)
        # The next replay writes to the same memory; and what is replayed has gradients throughout.
        return {
            name: value.clone() if name == "total" else value.detach().clone()
            for name, value in terms.items()
        }


class _OfPair(nn.Module):
    """A function as a module: so the weights are known that gradients are wanted of."""

    def __init__(self, pair: nn.Module, compute: Callable[..., Terms]) -> None:
        super().__init__()
        self.pair, self.compute = pair, compute

    def forward(self, *inputs: Any) -> Terms:
        return self.compute(*inputs)


def _record(module: nn.Module, inputs: tuple[Any, ...]) -> Callable[..., Terms]:
    """Record on these inputs, whose memory later ones are copied to, and leave no other trace."""
    # Passes that are recorded run on a stream of their own, which PyTorch waits for.
    torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(False)
    buffers = list(module.buffers())
    kept = [buffer.clone() for buffer in buffers]
    # Some passes are made first: they move running statistics and random numbers.
    gpus = [buffer.device for buffer in buffers[:1] if buffer.is_cuda]
    with torch.random.fork_rng(devices=gpus):
        replay: Any = torch.cuda.make_graphed_callables(module, inputs, allow_unused_input=True)
    with torch.no_grad():
        for buffer, value in zip(buffers, kept, strict=True):
            buffer.copy_(value)
    return replay
