import pytest

from tests.encoders.hear_contract import assert_hear_contract


@pytest.fixture(scope="session")
def check_hear_contract():
    """The checks of `hear_contract.py`, for tests in any folder: `check_hear_contract(encoder)`."""
    return assert_hear_contract
