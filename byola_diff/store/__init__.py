"""The packed store: many clips as 16-bit samples in a few large files, read at random."""

from byola_diff.store.packed import PackedStore, PackedStoreError
from byola_diff.store.plan import PackPlan, begin, plan_store
from byola_diff.store.write import pack_shard, remove_records, write_index, write_rendered_store

__all__ = [
    "PackPlan",
    "PackedStore",
    "PackedStoreError",
    "begin",
    "pack_shard",
    "plan_store",
    "remove_records",
    "write_index",
    "write_rendered_store",
]
