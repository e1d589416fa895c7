"""What the checks of a split find: by what its stage recorded, and by the proof done again."""

from agri_assets.config import Collection
from agri_assets.errors import SplitError
from agri_assets.splits.check import check_splits
from agri_assets.splits.settings import ROLES
from agri_assets.splits.summary import materialise
from agri_assets.store.finding import Finding
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome


def split_findings(collection: Collection, paths: CollectionPaths, outcome: Outcome) -> tuple[Finding, ...]:
    """`disjoint_on_the_ground`, `no_duplicate_pixels`, `class_balance` and `class_drift` of a split.

    Args:
        collection: Whose split.
        paths: Where it lies; the proof is done again.
        outcome: That of its stage, from now or from before.
    """
    return *_proof(collection, paths), _class_balance(collection, outcome), _class_drift(collection, outcome)


def _proof(collection: Collection, paths: CollectionPaths) -> tuple[Finding, Finding]:
    """What the proof finds; it proves that no pixels stand in two splits before anything else is known of them."""
    again, summary, refusal = materialise(paths.collection), None, ""
    try:
        summary = check_splits(collection, paths)
    except SplitError as error:
        refusal = str(error)
    basis = summary.proof_basis if summary else {}
    distances = summary.min_distance_m if summary else {}
    disjoint = Finding.judged(
        "disjoint_on_the_ground",
        summary is not None,
        "; ".join(f"{pair} {how}" for pair, how in basis.items()) if summary else refusal,
        f"nothing trains on it; {again}",
        proof=summary.proof if summary else None,
        **{f"min_distance_m {pair}": metres for pair, metres in distances.items()},
    )
    copies = Finding.judged(
        "no_duplicate_pixels",
        summary is not None,
        "no pixels stand in two splits" if summary else refusal,
        f"nothing trains on it; remove the copy and {again}",
    )
    return disjoint, copies


def _shares(outcome: Outcome) -> dict[str, float]:
    """The share of agricultural samples in each split."""
    counts = {role: (outcome.metadata[f"{role}_agricultural"], outcome.metadata[f"{role}_samples"]) for role in ROLES}
    return {role: float(positives or 0) / float(n or 1) for role, (positives, n) in counts.items()}


def _class_balance(collection: Collection, outcome: Outcome) -> Finding:
    least, shares = collection.limits.class_balance, _shares(outcome)
    rare = {role: min(share, 1 - share) for role, share in shares.items()}
    worst = min(rare, key=lambda role: rare[role])
    return Finding.judged(
        "class_balance",
        rare[worst] >= least,
        "agricultural: " + ", ".join(f"{share:.1%} of {role}" for role, share in shares.items()),
        f"the rarer class is less than limits.class_balance ({least:g}) of {worst}: set recipe.balance, add tiles of "
        "the rarer class, or move labels.positive and labels.negative",
        **{f"{role}_agricultural_share": round(share, 4) for role, share in shares.items()},
    )


def _class_drift(collection: Collection, outcome: Outcome) -> Finding:
    """The largest difference of any tile, month or split from the whole."""
    if "tile_drift" not in outcome.metadata:
        return Finding.unknown(
            "class_drift",
            "an older version made this split and did not count by tile and month",
            f"delete splits/summary.json and {materialise(collection.name)}",
        )
    most, shares = collection.limits.class_drift, _shares(outcome)
    apart = {
        f"{one} and {other}": abs(shares[one] - shares[other]) for one, other in (("train", "val"), ("train", "test"))
    }
    for kind in ("tile", "month"):
        if (drift := outcome.metadata[f"{kind}_drift"]) is not None:
            apart[f"{kind} {outcome.metadata[f'{kind}_drift_in']} and all"] = float(drift)
    worst = max(apart, key=lambda pair: apart[pair])
    return Finding.judged(
        "class_drift",
        apart[worst] <= most,
        f"the share of agricultural samples differs most between {worst}: by {apart[worst]:.1%}",
        f"more than limits.class_drift ({most:g}): look at class balance by tile and month here; add tiles or months "
        "that are like the others, or another split.seed where splits differ, and read the scores by tile and month",
        **{f"drift {pair}": round(value, 4) for pair, value in apart.items()},
    )
