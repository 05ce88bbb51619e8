"""The functions of `kernels.cpp` for tensors on the CPU."""

import ctypes
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int16, UInt8
from torch import Tensor

from byola_diff.compiled import compiled_library

_SOURCE = Path(__file__).with_suffix(".cpp")
_SUFFIX = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


class Kernels(NamedTuple):
    """What is computed in C++, for dense values of one type, float32 or bfloat16."""

    library: ctypes.CDLL
    dtype: torch.dtype

    @classmethod
    def of(cls, values: Tensor) -> "Kernels | None":
        """Those for values like these; None where there are none, or no compiler.

        None within `torch.compile` too, which can't look into them.
        """
        if torch.compiler.is_compiling():
            return None
        if values.device.type != "cpu" or values.dtype not in _SUFFIX or not values.numel():
            return None
        library = compiled_library(_SOURCE)
        return None if library is None else cls(library, values.dtype)

    def statistics(
        self, maps: Float[Tensor, "batch channel mel frame"]
    ) -> tuple[Float[Tensor, " channel"], Float[Tensor, " channel"]]:
        """Mean and variance (of the population) of each channel of channels-last maps."""
        mean, variance = _empty(2, maps.shape[1]).unbind()
        self._call("statistics", maps, _channels_last_sizes(maps), mean, variance)
        return mean, variance

    def pool(
        self,
        maps: Float[Tensor, "batch channel mel frame"],
        scale: Float[Tensor, " channel"],
        shift: Float[Tensor, " channel"],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """max(relu(scale * maps + shift)) over each 2 x 2 values of channels-last maps.

        With it, the value that each is of, and its place among the four, 4 where the result is 0.
        """
        batch, channel, mel, frame = maps.shape
        output = torch.empty(
            batch,
            channel,
            mel // 2,
            frame // 2,
            dtype=maps.dtype,
            device=maps.device,
            memory_format=torch.channels_last,
        )
        largest, which = torch.empty_like(output), torch.empty_like(output, dtype=torch.uint8)
        self._call("pool", maps, _channels_last_sizes(maps), scale, shift, output, largest, which)
        return output, largest, which

    def sums(self, grad: Tensor, largest: Tensor, which: Tensor) -> Float[Tensor, "2 channel"]:
        """Gradients of what `pool` gave, and gradients times `largest`, summed in each channel."""
        sums = _empty(2, grad.shape[1], dtype=torch.float64)
        batch, channel, half_mel, half_frame = grad.shape
        sizes = _sizes(batch, 2 * half_mel, 2 * half_frame, channel)
        self._call("sums", grad, largest, which, sizes, sums)
        return sums

    def spread(
        self,
        maps: Float[Tensor, "batch channel mel frame"],
        grad: Tensor,
        which: Tensor,
        scale: Float[Tensor, " channel"],
        slope: Float[Tensor, " channel"],
        offset: Float[Tensor, " channel"],
    ) -> Float[Tensor, "batch channel mel frame"]:
        """Slope * maps + offset, and scale * grad more at the places that `pool` found."""
        output = torch.empty_like(maps)
        sizes = _channels_last_sizes(maps)
        self._call("spread", maps, grad, which, sizes, scale, slope, offset, output)
        return output

    def mean_max(
        self, frames: Float[Tensor, "batch frame dim"]
    ) -> tuple[Float[Tensor, "batch dim"], UInt8[Tensor, "batch dim"]]:
        """Mean plus maximum over at most 256 frames, in float32; the frame of the maximum."""
        batch, _, dim = frames.shape
        output, which = _empty(batch, dim), _empty(batch, dim, dtype=torch.uint8)
        self._call("mean_max", frames, _sizes(*frames.shape), output, which)
        return output, which

    def mean_max_back(
        self, grad: Float[Tensor, "batch dim"], which: UInt8[Tensor, "batch dim"], n_frames: int
    ) -> Float[Tensor, "batch {n_frames} dim"]:
        """Gradient of the frames that `mean_max` was given."""
        batch, dim = grad.shape
        output = _empty(batch, n_frames, dim, dtype=self.dtype)
        self._call("mean_max_back", grad, which, _sizes(*output.shape), output)
        return output

    def scale_kept(
        self, values: Tensor, bits: Int16[Tensor, " count"], threshold: int, scale: float
    ) -> Tensor:
        """Dense values times `scale`; 0 where their bits, in the order of memory, are less."""
        output = torch.empty_like(values)
        factor = torch.full((), scale, dtype=torch.float32, device="cpu")
        self._call("scale_kept", values, bits, _sizes(values.numel(), threshold), factor, output)
        return output

    def _call(self, name: str, *tensors: Tensor) -> None:
        pointers: list[Any] = [ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]
        getattr(self.library, f"{name}_{_SUFFIX[self.dtype]}")(*pointers)


def _channels_last_sizes(maps: Tensor) -> Tensor:
    batch, channel, mel, frame = maps.shape
    return _sizes(batch, mel, frame, channel)


def _sizes(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.int64, device="cpu")


def _empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Whatever PyTorch's default type and device are: the C++ takes an address for granted."""
    return torch.empty(shape, dtype=dtype, device="cpu")
