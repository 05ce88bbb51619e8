import pytest

from tests.store.store_maker import pack, write_sounds


@pytest.fixture
def store(tmp_path):
    """Five clips, one of them a single sample, in shards of one clip or more."""
    source = write_sounds(tmp_path / "source", [20_000, 15_200, 100, 30_000, 1])
    return pack(source, tmp_path / "store")
