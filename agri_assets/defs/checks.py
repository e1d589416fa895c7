"""The checks that stand beside the assets; what must not happen is refused by the stages themselves."""

import logging
from dataclasses import dataclass

import dagster as dg

from agri_assets.store.receipt import Outcome

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StageCheck:
    """The check of one kind of asset.

    Attributes:
        name: Name of the check.
        description: What it means when it passes.
        blocking: Whether downstream steps of the same run stop when it fails.
    """

    name: str
    description: str
    blocking: bool = False

    def spec(self, asset: dg.AssetKey) -> dg.AssetCheckSpec:
        """Its declaration on an asset."""
        return dg.AssetCheckSpec(self.name, asset=asset, description=self.description, blocking=self.blocking)

    def result(self, asset: dg.AssetKey, outcome: Outcome) -> dg.AssetCheckResult:
        """Passed where the outcome carries no warning; the warnings say what was found and what to do."""
        return dg.AssetCheckResult(
            asset_key=asset,
            check_name=self.name,
            passed=not outcome.warnings,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={f"warning {index}": text for index, text in enumerate(outcome.warnings, start=1)},
        )


STAGE_CHECKS = {
    "tile_catalog": StageCheck("catalog_complete", "Every tile of the source could be catalogued; none was retired."),
    "raw_scenes": StageCheck("every_scene_usable", "No scene of the tile was refused."),
    "land_cover": StageCheck("land_cover_complete", "Land cover covers the whole tile."),
    "tile_cube": StageCheck("every_scene_built", "Every usable scene, or every image, is in the cube."),
    "splits": StageCheck("split_sound", "The split is proved on the ground, and each part is large enough."),
    "model": StageCheck("training_sound", "Training ended as it should, on a split that is proved disjoint."),
    "report": StageCheck(
        "scores_trustworthy", "Nothing makes the reported scores optimistic or their intervals unsafe."
    ),
    "model_comparison": StageCheck("champion_named", "All models were compared and the champion passes its rule."),
    "bundle": StageCheck("bundle_whole", "The 8-bit network loses little enough to be in the bundle."),
    "land_map": StageCheck("map_complete", "Every position of the tile could be mapped."),
}
"""Per kind of asset, the warning check that shows what its stage warned of."""

CHECKSUMS = StageCheck(
    "checksums",
    "Stored shards are those that were written, by their manifests: what this run wrote is read back, of all the rest "
    "presence and size are compared, and a part of it is read, another one each time. `verify_all: true` in the run's "
    "configuration, and the command `agri-assets verify`, read everything.",
    blocking=True,
)
"""That the cube on disk is whole."""

SHOWN = 20
"""Most problems that an event lists."""


def checksums_result(asset: dg.AssetKey, outcome: Outcome, written: int, everything: bool) -> dg.AssetCheckResult:
    """Check the cube that a stage made or found done; blocks what is downstream of damage."""
    from agri_assets.cube.patrol import check_cube

    found = check_cube(outcome.path, 0 if outcome.reused else written, everything)
    for problem in found.problems:
        logger.error("%s", problem)
    damage = {f"damage {index}": text for index, text in enumerate(found.problems[:SHOWN], start=1)}
    advice = f"materialise {asset.to_user_string()} again: it builds exactly what is damaged anew"
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=CHECKSUMS.name,
        passed=not found.problems,
        metadata={
            "shards_read": found.shards,
            "problems": len(found.problems),
            **damage,
            **({"what to do": advice} if damage else {}),
        },
    )


DISJOINT = StageCheck(
    "disjoint_on_the_ground",
    "Recomputed by code independent of the assigner: no sample of one split is nearer than one tile diagonal to "
    "another split's (published lists: no sample stands in two).",
    blocking=True,
)
