"""What the tests of several folders share."""

import importlib.util
import shutil
import tracemalloc
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).parents[1]
HAS_COMPILER = shutil.which("c++") is not None
needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="there is no C++ compiler")


def uniform_noise(*shape, seed=0):
    """Float32 values in [-1, 1), the same for the same seed."""
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) - 1


def normal_noise(*shape, seed=0):
    """Float32 values with mean 0 and deviation 1, the same for the same seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def load_script(name):
    """A script of `datasets` as a module, such as "make_sounds"."""
    path = REPOSITORY / "datasets" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """One thread, as in processes that a module starts: sums depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def peak_bytes(work):
    """The most that Python and NumPy held at a time while it ran."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
