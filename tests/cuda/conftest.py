"""What a GPU computes against what the CPU does.

`BYOLA_DIFF_CUDA_TESTS_ON=cpu` runs these tests without a GPU, which checks the tests themselves.
"""

import os

import pytest
import torch

# Read by cuBLAS when it is first used; without it there is no deterministic mode.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def pytest_collection_modifyitems(items):
    for item in items:
        if "cuda" in item.path.parts[-2:-1]:
            item.add_marker(pytest.mark.cuda)


@pytest.fixture(scope="session")
def device():
    """The GPU, or what stands in for it."""
    name = os.environ.get("BYOLA_DIFF_CUDA_TESTS_ON", "cuda")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    return torch.device(name)


@pytest.fixture(autouse=True)
def full_float32():
    """Float32 products in full precision: TF32 is for speed, and compared with nothing here."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
