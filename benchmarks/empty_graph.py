"""The assets of the code location with nothing in them: same keys, dependencies, partitions, groups and executor."""

import dagster as dg

from agri_assets import definitions


def empty_asset(spec: dg.AssetSpec) -> dg.AssetsDefinition:
    """An asset of the same place in the graph that does nothing; without checks, pool and retries."""

    @dg.asset(key=spec.key, deps=spec.deps, partitions_def=spec.partitions_def, group_name=spec.group_name)
    def empty() -> None:
        return None

    return empty


defs = dg.Definitions(
    assets=[empty_asset(spec) for spec in definitions.defs.resolve_all_asset_specs()],
    executor=definitions.step_executor("benchmarks.empty_graph"),
)
