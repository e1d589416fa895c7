"""What must still be added to stored numbers: decided from metadata, with the evidence, never from the date.

From processing baseline 04.00 on, ESA stores reflectance * 10000 + 1000 so that dark pixels survive, and says so in
BOA_ADD_OFFSET_VALUES_LIST (Sentinel-2 Products Specification Document, issue 14.9). Some providers take the offset out
again and some say so. Where two statements exclude each other the product is refused with both of them quoted; what
the pixels say to that is seen by `darkest`.
"""

import re
from collections.abc import Mapping

from agri_assets.errors import SceneError
from agri_assets.scenes.record import Radiometry

Evidence = dict[str, str | int | float | bool | None]

OFFSET = -1000
"""The offset of baseline 04.00 and later, in digital numbers."""

QUANTIFICATION = 10000
"""Digital numbers per unit of reflectance; the cube stores this one scale."""

BASELINE = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})")
OFFSET_SINCE = (4, 0)
CLIPPED = "provider clipped"
"""Name of the evidence that a provider changed dark pixels beyond taking the offset out."""

USER_BASELINE = (99, 99)
"""The baseline that Sen2Cor writes when a user runs it: it says nothing about the offset."""


def decide_safe(name: str, baseline: str, offsets: Mapping[str, int] | None, quantification: int | None) -> Radiometry:
    """The decision for a SAFE product.

    Args:
        name: The product, for messages.
        baseline: PROCESSING_BASELINE, such as `05.09`.
        offsets: BOA_ADD_OFFSET by band id; None where the product has no such list.
        quantification: BOA_QUANTIFICATION_VALUE; None where it is absent.

    Raises:
        SceneError: The statements exclude each other, or the numbers are on another scale.
    """
    evidence: Evidence = {"PROCESSING_BASELINE": baseline, "BOA_QUANTIFICATION_VALUE": quantification}
    if quantification != QUANTIFICATION:
        raise SceneError(f"{name}: BOA_QUANTIFICATION_VALUE is {quantification}, expected {QUANTIFICATION}; not usable")
    if offsets is None:
        evidence["BOA_ADD_OFFSET_VALUES_LIST"] = "absent"
        if _offset_expected(name, baseline):
            raise SceneError(
                f"{name}: PROCESSING_BASELINE {baseline} carries an offset, but BOA_ADD_OFFSET_VALUES_LIST is absent; "
                "metadata contradict each other, download the product again"
            )
        return Radiometry(offset=0, decision="nothing to add: the product declares no offset", evidence=evidence)
    offset = _uniform(name, "BOA_ADD_OFFSET", offsets)
    evidence["BOA_ADD_OFFSET_VALUES_LIST"] = f"{offset} for all {len(offsets)} bands"
    _require_agreement(name, baseline, offset, f"BOA_ADD_OFFSET {offset}")
    return Radiometry(offset=offset, decision=f"add {offset}, as the product declares", evidence=evidence)


def decide_stac(name: str, baseline: str, applied: object, declared: Mapping[str, int]) -> Radiometry:
    """The decision for a STAC item.

    A provider that takes the offset out of unsigned numbers has to clip what reflects less than nothing. The record
    says so, since such a scene and one with its offset kept, which the cube clips by its own rule, need not agree in
    their darkest pixels.

    Args:
        name: The item, for messages.
        baseline: `s2:processing_baseline`.
        applied: `earthsearch:boa_offset_applied` as the item has it; None where it does not say.
        declared: `raster:bands` offset over scale, in digital numbers, by band that declares one.

    Raises:
        SceneError: The statements exclude each other, or one is none.
    """
    if not isinstance(applied, bool | None):
        raise SceneError(
            f"{name}: earthsearch:boa_offset_applied is {applied!r}, expected true or false; cannot tell whether an "
            "offset is in the pixels, correct the item"
        )
    evidence: Evidence = {"s2:processing_baseline": baseline, "earthsearch:boa_offset_applied": applied}
    if declared:
        evidence["raster:bands offset"] = _uniform(name, "raster:bands offset", declared)
    if applied:
        had_offset = _offset_expected(name, baseline) or evidence.get("raster:bands offset") == OFFSET
        return _applied(had_offset, evidence)
    if declared:
        offset = _uniform(name, "raster:bands offset", declared)
        _require_agreement(name, baseline, offset, f"raster:bands offset {offset}, not applied by the provider")
        verb = f"add {offset}" if offset else "nothing to add"
        return Radiometry(offset=offset, decision=f"{verb}, as raster:bands declares", evidence=evidence)
    if parse_baseline(name, baseline) == USER_BASELINE:
        raise SceneError(
            f"{name}: s2:processing_baseline {baseline} is a user's own processing; neither raster:bands offset nor "
            "earthsearch:boa_offset_applied is given; cannot tell whether an offset is in the pixels, add one of them"
        )
    offset = OFFSET if _offset_expected(name, baseline) else 0
    decision = f"add {offset}, by processing baseline {baseline}" if offset else f"nothing to add: baseline {baseline}"
    return Radiometry(offset=offset, decision=decision, evidence=evidence)


def _applied(had_offset: bool, evidence: Evidence) -> Radiometry:
    decision = "nothing to add: the provider took the offset out of the pixels (earthsearch:boa_offset_applied)"
    if had_offset:
        decision += " and clipped what fell below zero"
        evidence[CLIPPED] = "reflectance below zero, when it took the offset out"
    return Radiometry(offset=0, decision=decision, evidence=evidence)


def parse_baseline(name: str, baseline: str) -> tuple[int, int]:
    """(5, 9) of `05.09`.

    Raises:
        SceneError: It is not of that form.
    """
    found = BASELINE.fullmatch(baseline)
    if found is None:
        raise SceneError(
            f"{name}: processing baseline {baseline[:20]!r} is not of the form 05.09; cannot tell its offset"
        )
    return int(found[1]), int(found[2])


def _offset_expected(name: str, baseline: str) -> bool:
    number = parse_baseline(name, baseline)
    return number >= OFFSET_SINCE and number != USER_BASELINE


def _require_agreement(name: str, baseline: str, offset: int, statement: str) -> None:
    if parse_baseline(name, baseline) == USER_BASELINE:
        return
    expected = OFFSET if _offset_expected(name, baseline) else 0
    if offset != expected:
        raise SceneError(
            f"{name}: metadata contradict each other: processing baseline {baseline} means an offset of {expected}, "
            f"but the product says {statement}; not usable until one is corrected"
        )


def _uniform(name: str, field: str, offsets: Mapping[str, int]) -> int:
    values = sorted(set(offsets.values()))
    if len(values) != 1 or values[0] not in (0, OFFSET):
        shown = ", ".join(f"{band}: {value}" for band, value in offsets.items())
        raise SceneError(f"{name}: {field} must be 0 or {OFFSET} for all bands alike, found {shown}; not usable")
    return values[0]
