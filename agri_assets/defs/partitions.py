"""One dynamic partition per MGRS tile, in one definition per collection."""

import dagster as dg


def tile_partitions(collection: str) -> dg.DynamicPartitionsDefinition:
    """The partitions of a collection's tile assets; `tile_catalog` registers their keys."""
    return dg.DynamicPartitionsDefinition(name=f"{collection}_tiles")
