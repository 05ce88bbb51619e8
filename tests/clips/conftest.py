"""The store of the tests of stores, for the sources that read it."""

from tests.store.conftest import store

__all__ = ["store"]
