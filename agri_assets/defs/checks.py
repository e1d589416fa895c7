"""The checks that stand beside the assets; what must not happen is refused by the stages themselves.

What they find comes from the domain (`*/findings.py`), by what stages recorded, so that a run with nothing to do shows
it as well.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import dagster as dg

from agri_assets.store.finding import Finding, tell
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

    def shown(self, asset: dg.AssetKey, finding: Finding) -> dg.AssetCheckResult:
        """What the domain found."""
        return dg.AssetCheckResult(
            asset_key=asset,
            check_name=self.name,
            passed=finding.passed,
            severity=dg.AssetCheckSeverity.ERROR if self.blocking else dg.AssetCheckSeverity.WARN,
            description=finding.found,
            metadata={
                "found": finding.found,
                **({"what to do": finding.todo} if finding.todo else {}),
                **{key: value for key, value in finding.figures.items() if value is not None},
            },
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


_DECLARED = (
    StageCheck("clear_fraction", "Enough of the tile's ground is seen (limits.clear_fraction)."),
    StageCheck("no_missing_scenes", "Every date that is wanted, or was once there, is in the cube."),
    StageCheck(
        "band_histograms",
        "No date's bands lie outside the range of the train split (limits.band_shift): by figures of each date's clear "
        "pixels, taken when it was built.",
    ),
    StageCheck(
        "disjoint_on_the_ground",
        "Recomputed by code independent of the assigner: no sample of one split is nearer than one tile diagonal to "
        "another split's (published lists: no sample stands in two).",
        blocking=True,
    ),
    StageCheck(
        "no_duplicate_pixels",
        "No pixels stand in two splits: no image of an archive, and no date copied under another tile's name.",
        blocking=True,
    ),
    StageCheck("class_balance", "Both classes are frequent enough in each split (limits.class_balance)."),
    StageCheck("class_drift", "Tiles, months and splits have much the same share of classes (limits.class_drift)."),
    StageCheck("finite_loss", "No loss is infinite or undefined; a training ends at once where one is.", blocking=True),
    StageCheck(
        "train_statistics",
        "The network is fed by mean and std of train pixels alone, which the trainer counts again before it begins.",
        blocking=True,
    ),
    StageCheck("data_wait", "The training hardly waited for data (limits.data_wait)."),
    StageCheck("calibration", "Probabilities mean what they say (limits.calibration)."),
    StageCheck("champion_kept", "No model was kept from becoming champion by the rule; a warning says which and why."),
)

FOUND = {check.name: check for check in _DECLARED}
"""The checks whose findings come from the domain."""

FINDINGS: dict[str, tuple[str, ...]] = {
    "tile_cube": ("clear_fraction", "no_missing_scenes", "band_histograms"),
    "splits": ("disjoint_on_the_ground", "no_duplicate_pixels", "class_balance", "class_drift"),
    "model": ("finite_loss", "train_statistics", "data_wait"),
    "report": ("calibration",),
    "model_comparison": ("champion_kept",),
    "land_map": ("band_histograms",),
}
"""Per kind of asset, which of them it has; a cube of an archive has none."""


def check_specs(asset: dg.AssetKey, kind: str, *others: StageCheck, found: bool = True) -> list[dg.AssetCheckSpec]:
    """All checks of an asset: that of its stage, those of the domain's findings where `found`, and others."""
    named = [FOUND[name] for name in FINDINGS.get(kind, ())] if found else []
    return [check.spec(asset) for check in (STAGE_CHECKS[kind], *named, *others)]


def shown(asset: dg.AssetKey, findings: Iterable[Finding]) -> list[dg.AssetCheckResult]:
    """The results of the checks that the domain's findings are about; what did not pass is logged."""
    findings = list(findings)
    tell(asset.to_user_string(), findings)
    return [FOUND[finding.name].shown(asset, finding) for finding in findings]
