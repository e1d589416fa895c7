"""How stages fail in Dagster: in one line, and tried again only where that may help."""

import dagster as dg
import pytest

from agri_assets.config import Outline
from agri_assets.defs.ingest import scene_assets
from agri_assets.defs.stages import one_line_failures
from agri_assets.errors import RemoteError, SceneError


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (SceneError("damaged"), False),
        (RemoteError("no such file", transient=False), False),
        (RemoteError("did not answer"), True),
    ],
)
def test_only_what_may_pass_by_itself_is_tried_again(error, again):
    with pytest.raises(dg.Failure) as caught, one_line_failures():
        raise error
    assert caught.value.description == str(error)
    assert caught.value.allow_retries is again


def test_steps_that_read_from_another_host_are_tried_again_later_and_later():
    outline = Outline(archive=False, models=(), scenes_from="https://stac.example/v1")
    policies = {asset.key.path[-1]: asset.node_def.retry_policy for asset in scene_assets("any", outline)}
    assert policies["land_cover"] is None
    for name in ("tile_catalog", "raw_scenes", "tile_cube"):
        assert policies[name].max_retries > 0
        assert policies[name].backoff is dg.Backoff.EXPONENTIAL


def test_a_host_that_answers_at_the_second_try_fails_no_run():
    tries = []

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=1))
    def fetched() -> None:
        tries.append(1)
        with one_line_failures():
            if len(tries) == 1:
                raise RemoteError("did not answer")

    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([fetched], instance=instance).success
    assert len(tries) == 2
