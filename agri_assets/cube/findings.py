"""What the checks of a tile's cube find: by what its stage recorded and by its description, without reading a pixel."""

from datetime import datetime

from agri_assets.config import Collection
from agri_assets.cube.open import cube_info
from agri_assets.cube.schema import Slot
from agri_assets.scenes.settings import FoundScenes
from agri_assets.scenes.wanted import in_dates
from agri_assets.store.finding import Finding
from agri_assets.store.receipt import Outcome

SHOWN = 6
"""Dates that a finding names."""


def cube_findings(collection: Collection, outcome: Outcome) -> tuple[Finding, ...]:
    """`clear_fraction` and `no_missing_scenes` of a cube of scenes.

    Args:
        collection: Whose cube.
        outcome: That of its stage, from now or from before.
    """
    return _clear_fraction(collection, outcome), _no_missing_scenes(collection, outcome)


def _clear_fraction(collection: Collection, outcome: Outcome) -> Finding:
    """How much of the tile is seen, over all its dates."""
    least = collection.limits.clear_fraction
    shares = {str(row["date"]): float(row["clear"] or 0) for row in outcome.tables["dates"].rows}
    mean, worst = sum(shares.values()) / len(shares), min(shares, key=lambda date: shares[date])
    return Finding.judged(
        "clear_fraction",
        mean >= least,
        f"{mean:.0%} of the ground is clear over {len(shares)} dates, least on {worst} ({shares[worst]:.0%})",
        f"less than limits.clear_fraction ({least:g}): add dates, or lower the source's max_cloud so that cloudy ones "
        "do not count",
        mean_clear=round(mean, 3),
        least_clear=shares[worst],
        dates=len(shares),
        dates_under_the_limit=sum(share < least for share in shares.values()),
    )


def _no_missing_scenes(collection: Collection, outcome: Outcome) -> Finding:
    """Dates that were in the cube and count no more, and those that could not be built."""
    info = cube_info(outcome.path)
    active = {slot.date for slot in info.active}
    withdrawn = sorted({str(slot.date) for slot in info.slots if slot.date not in active and _asked(slot, collection)})
    refused = int(outcome.metadata.get("refused") or 0)
    parts = [f"{refused} could not be built"] if refused else []
    if withdrawn:
        more = f" and {len(withdrawn) - SHOWN} more" if len(withdrawn) > SHOWN else ""
        parts.append(f"{len(withdrawn)} were there and are no more ({', '.join(withdrawn[:SHOWN])}{more})")
    found = "; ".join(parts) if parts else "none is missing"
    return Finding.judged(
        "no_missing_scenes",
        not parts,
        f"of {len(active) + len(withdrawn) + refused} dates {found}",
        "read why in the warnings here and in the table of raw_scenes; restore or mend the scenes in the source and "
        "materialise raw_scenes and tile_cube of the tile; where they were taken away on purpose, a cube that is "
        "deleted and built anew forgets them",
        dates=len(active),
        refused=refused,
        withdrawn=len(withdrawn),
    )


def _asked(slot: Slot, collection: Collection) -> bool:
    """Whether the source's settings still ask for this day."""
    source = collection.source
    day = datetime.fromisoformat(slot.date or "")
    return not isinstance(source, FoundScenes) or in_dates(day, source.dates)
