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


@pytest.fixture
def check_resumed(device, store, small_config, pretrain, assert_same_training, tmp_path):
    """Check that a run stopped half-way ends with the bits of one that was not."""

    def config(name, steps, settings):
        training = {"steps": steps, "deterministic": True, **settings}
        training["accelerator"] = "gpu" if device.type == "cuda" else "cpu"
        data = {"source": "resident", "root": store}
        return small_config(tmp_path / name, data=data, training=training)

    def check(**settings):
        try:
            pretrain(config("whole", 6, settings))
            pretrain(config("parts", 3, settings))
            pretrain(config("parts", 6, settings), "auto")
        finally:
            torch.use_deterministic_algorithms(False)
        assert_same_training(tmp_path / "whole", tmp_path / "parts")

    return check


@pytest.fixture(autouse=True)
def full_float32():
    """Float32 products in full precision: TF32 is for speed, and compared with nothing here."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
