"""How the share of agricultural samples differs between tiles and months: facts for the receipt of a split."""

from collections.abc import Mapping

from agri_assets.splits.tally import Group, Tally
from agri_assets.store.receipt import Scalar, Table

ENOUGH = 30
"""Samples from which the share in a tile or month counts: that of fewer differs by chance alone."""

SHOWN = 12
"""Rows of a table: events live in the run database, and tiles may be thousands."""


def share(group: Group) -> float:
    """The share of agricultural samples."""
    return group.positives / group.n if group.n else 0.0


def whole(groups: Mapping[str, Group]) -> Group:
    """All of them together."""
    found = Group()
    for group in groups.values():
        found.n, found.positives = found.n + group.n, found.positives + group.positives
    return found


def by_distance(groups: Mapping[str, Group]) -> list[str]:
    """The names of those with enough samples, the one furthest from the whole first."""
    overall = share(whole(groups))
    enough = [name for name, group in groups.items() if group.n >= ENOUGH]
    return sorted(enough, key=lambda name: (-abs(share(groups[name]) - overall), name))


def furthest(kind: str, groups: Mapping[str, Group]) -> dict[str, Scalar]:
    """The tile or month whose share differs most, and by how much; nothing where there are not two to compare."""
    names = by_distance(groups)
    if len(names) < 2:
        return {f"{kind}_drift": None}
    distance = abs(share(groups[names[0]]) - share(whole(groups)))
    return {f"{kind}_drift": round(distance, 4), f"{kind}_drift_in": names[0]}


def group_tables(tally: Tally) -> dict[str, Table]:
    """Class balance by tile and by month, those that differ most first."""
    found = {}
    for kind, groups in (("tile", tally.tiles), ("month", tally.months)):
        rows: list[dict[str, Scalar]] = [
            {
                kind: name,
                "samples": groups[name].n,
                "agricultural": groups[name].positives,
                "share": round(share(groups[name]), 4),
            }
            for name in by_distance(groups)[:SHOWN]
        ]
        found[f"class balance by {kind}"] = Table(rows=tuple(rows))
    return found
