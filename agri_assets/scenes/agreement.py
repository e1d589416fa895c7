"""What metadata say twice must be the same: the tile, and which satellite saw a scene and when."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agri_assets.errors import SceneError
from agri_assets.scenes.naming import platform_name

NAMES = (
    # S2A_MSIL2A_20230611T104540_N0509_..., and without the baseline, as Planetary Computer names items
    re.compile(r"(S2[A-D])_MSIL[12][A-C]_(\d{8}T\d{6})_", re.ASCII),
    # before 2017: S2A_USER_PRD_MSIL2A_PDMC_20160504T225644_R094_V20160504T105917_...
    re.compile(r"(S2[A-D])_(?:OPER|USER)_PRD_MSIL[12][A-C]_\w+_V(\d{8}T\d{6})_", re.ASCII),
    # Earth Search: S2A_33TWL_20230815_0_L2A and S2B_T24MUA_20250731T130245_L2A
    re.compile(r"(S2[A-D])_T?\d{1,2}[A-Z]{3}_(\d{8}(?:T\d{6})?)_", re.ASCII),
)
"""Forms of names that carry satellite and time of sensing."""

TOLERANCE = timedelta(hours=12)
"""Names carry the start of the datatake, of the datastrip, or a day; a scene may be seen most of an hour later."""


@dataclass(frozen=True)
class Stated:
    """A statement and where it stands, such as `SPACECRAFT_NAME`, 'Sentinel-2A'."""

    field: str
    value: str


@dataclass(frozen=True)
class Sensed:
    """Satellite and time span that a name carries."""

    platform: str
    first: datetime
    last: datetime


def one_tile(where: str, statements: Sequence[tuple[Stated, str]], advice: str) -> str:
    """The one MGRS tile of several statements.

    Args:
        where: The product or item, for messages.
        statements: Each with the tile that it names; at least one.
        advice: What to do where they differ.

    Raises:
        SceneError: Two of them exclude each other; both are quoted.
    """
    first, tile = statements[0]
    for other, another in statements[1:]:
        if another != tile:
            raise SceneError(
                f"{where}: metadata contradict each other: {first.field} is {first.value[:120]!r}, tile {tile}, but "
                f"{other.field} is {other.value[:120]!r}, tile {another}; {advice}"
            )
    return tile


def sensed(name: str) -> Sensed | None:
    """What a product's or item's name says; None where it is of none of the known forms."""
    found = next((match for form in NAMES if (match := form.match(name))), None)
    if found is None:
        return None
    whole_day = "T" not in found[2]
    try:
        first = datetime.strptime(found[2], "%Y%m%d" if whole_day else "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return Sensed(platform_name(found[1]), first, first + timedelta(days=1) if whole_day else first)


def require_agreement(
    where: str, names: Mapping[str, str | None], platform: Stated, time: Stated, acquired: datetime
) -> None:
    """Refuse metadata whose satellite or time is not that of the product's own names.

    Args:
        where: The document, for messages.
        names: Names of the product by the field that they stand in.
        platform: The satellite as the metadata have it.
        time: The time of sensing as the metadata have it.
        acquired: The same time, parsed.

    Raises:
        SceneError: Both sides quoted.
    """
    for field, name in names.items():
        if not name or (said := sensed(name)) is None:
            continue
        if said.platform != platform_name(platform.value, where):
            raise _contradiction(where, Stated(field, name), platform)
        try:
            near = said.first - TOLERANCE <= acquired <= said.last + TOLERANCE
        except OverflowError:
            near = False
        if not near:
            raise _contradiction(where, Stated(field, name), time)


def _contradiction(where: str, one: Stated, other: Stated) -> SceneError:
    return SceneError(
        f"{where}: metadata contradict each other: {one.field} is {one.value[:120]!r}, but {other.field} is "
        f"{other.value[:40]!r}; fetch the product again"
    )
