"""How an asset calls its stage: resolve inputs, call one domain function, turn its outcome or error into Dagster's."""

import multiprocessing
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import dagster as dg

from agri_assets.config import Collection
from agri_assets.defs.checks import STAGE_CHECKS, shown
from agri_assets.defs.metadata import materialized
from agri_assets.defs.resources import Store
from agri_assets.errors import AgriAssetsError, is_transient
from agri_assets.store.finding import Finding
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome
from agri_assets.training.parent import end_with

Stage = Callable[[Collection, CollectionPaths], Outcome]
TileStage = Callable[[Collection, CollectionPaths, str], Outcome]
Find = Callable[[Collection, CollectionPaths, Outcome], Iterable[Finding]]
"""What the checks of an asset find, by what its stage recorded."""


def no_findings(_: Collection, __: CollectionPaths, ___: Outcome) -> tuple[Finding, ...]:
    """Of assets whose only check is that of their stage."""
    return ()


@contextmanager
def one_line_failures() -> Iterator[None]:
    """Turn the project's own errors into a failure of one line; end with a killed run.

    Tried again, where the asset has a retry policy, is only what may pass by itself: a host that did not answer.
    """
    end_with_run()
    try:
        yield
    except AgriAssetsError as error:
        raise refusal(str(error), retry=is_transient(error)) from None


def end_with_run() -> None:
    """End this step when its run is killed: Dagster lets it go on, and nobody reads what it has to tell."""
    if (run := multiprocessing.parent_process()) is not None and run.pid is not None:
        end_with(run.pid)


def refusal(message: str, retry: bool = False) -> dg.Failure:
    """A failure shown as its message alone; unless told otherwise, one that no retry can mend."""
    if multiprocessing.parent_process() is not None:
        # this process runs one step and ends with it: Dagster's own stack would bury the line that people need
        sys.tracebacklimit = 0
    return dg.Failure(description=message, allow_retries=retry)


def finish(
    context: dg.AssetExecutionContext, kind: str, outcome: Outcome, findings: Iterable[Finding] = ()
) -> dg.MaterializeResult:
    """The result of an asset whose stage ended with `outcome`, with the checks of its kind of asset."""
    stage = STAGE_CHECKS[kind].result(context.asset_key, outcome)
    return materialized(outcome, stage, *shown(context.asset_key, findings))


def run_stage_asset(
    context: dg.AssetExecutionContext, store: Store, kind: str, stage: Stage, find: Find = no_findings
) -> dg.MaterializeResult:
    """Run the stage of an unpartitioned asset, then the checks of what it recorded."""
    name = context.asset_key.path[0]
    with one_line_failures():
        collection, paths = store.collection(name), store.paths(name)
        outcome = stage(collection, paths)
        return finish(context, kind, outcome, find(collection, paths, outcome))


def run_tile_asset(
    context: dg.AssetExecutionContext, store: Store, kind: str, stage: TileStage, find: Find = no_findings
) -> dg.MaterializeResult:
    """Run the stage of an asset partitioned by tile, then the checks of what it recorded."""
    name = context.asset_key.path[0]
    with one_line_failures():
        collection, paths = store.collection(name), store.paths(name)
        outcome = stage(collection, paths, context.partition_key)
        return finish(context, kind, outcome, find(collection, paths, outcome))
