"""Many dates of one tile without many downloads: one product under other dates, one slot's shards in many slots.

Files of pixels are hard links to those of the first; what is written anew is what tells the dates apart.
"""

import os
import re
import shutil
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from agri_assets.config import Collection
from agri_assets.cube.commit import find_root
from agri_assets.cube.looks import look_path
from agri_assets.cube.manifest import manifest_path, read_manifest, samples_path, write_manifest
from agri_assets.cube.masking import with_mask
from agri_assets.cube.open import cube_info
from agri_assets.cube.schema import BANDS_ARRAY, CLASSES_ARRAY, CubeInfo
from agri_assets.cube.shards import slot_folder
from agri_assets.cube.slots import Wanted, commit, wanted_dates
from agri_assets.samples.manifest import MANIFEST
from agri_assets.samples.manifest import write_manifest as write_product_manifest
from agri_assets.samples.passes import CYCLE, ORBITS_PER_CYCLE
from agri_assets.scenes.inventory import read_inventory
from agri_assets.scenes.record import InventoryEntry
from agri_assets.scenes.safe import read_safe
from agri_assets.store.commit import staged, write_text
from agri_assets.store.fingerprint import fingerprint
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import read_outcome, write_outcome

DATATAKE = re.compile(r"GS2\w_\d{8}T\d{6}_(\d{6})_N")


def derive_product(product: Path, folder: Path, number: int) -> Path:
    """The product as the same satellite would have seen it `number` repeat cycles later: same pixels, another date.

    Names and documents tell the new dates and orbits; images are hard links, so `folder` must be on the same disk.
    """
    first, orbit = read_safe(product).acquired, _orbit(product)
    later = first + CYCLE * number
    words = {f"{orbit:06d}": f"{orbit + ORBITS_PER_CYCLE * number:06d}"}
    # the day of acquisition, and the next: some products are made after midnight
    for step in (timedelta(0), timedelta(days=1)):
        words |= {f"{first + step:{form}}": f"{later + step:{form}}" for form in ("%Y%m%d", "%Y-%m-%d")}
    target = folder / _renamed(product.name, words)
    if target.exists():
        return target
    with staged(target) as staging:
        for file in sorted(path for path in product.rglob("*") if path.is_file() and path.name != MANIFEST):
            copy = staging / _renamed(file.relative_to(product).as_posix(), words)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if file.suffix == ".xml":
                copy.write_text(_renamed(file.read_text(encoding="utf-8"), words), encoding="utf-8")
            else:
                os.link(file, copy)
        write_product_manifest(staging)
    return target


def _orbit(product: Path) -> int:
    """The absolute orbit that the documents name."""
    found = DATATAKE.search((product / "MTD_MSIL2A.xml").read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit(f"{product}: names no orbit; make the samples anew")
    return int(found[1])


def _renamed(text: str, words: Mapping[str, str]) -> str:
    """The text with all words replaced at once."""
    return re.sub("|".join(map(re.escape, words)), lambda found: words[found[0]], text)


def list_dates(paths: CollectionPaths, tile: str, dates: int) -> None:
    """Make the inventory one of `dates` scenes: what is listed, and the earliest again under days before it."""
    inventory, receipt = read_inventory(paths, tile), paths.receipt("raw_scenes", tile)
    first, *later = inventory.entries
    earlier = [_days_before(first, days) for days in range(dates - len(inventory.entries), 0, -1)]
    entries = (*earlier, first, *later)
    write_text(paths.inventory(tile), inventory.model_copy(update={"entries": entries}).model_dump_json())
    version = fingerprint(names=[entry.name for entry in entries])
    write_outcome(receipt, read_outcome(receipt).model_copy(update={"data_version": version}))


def _days_before(entry: InventoryEntry, days: int) -> InventoryEntry:
    if entry.record is None:
        raise SystemExit(f"{entry.name}: was refused; make the samples anew")
    acquired = entry.record.acquired - timedelta(days=days)
    changes = {
        "scene_id": entry.record.scene_id.replace(f"{entry.record.acquired:%Y%m%d}", f"{acquired:%Y%m%d}"),
        "acquired": acquired,
        "fingerprint": fingerprint(product=entry.record.fingerprint, acquired=acquired.isoformat()),
    }
    record = entry.record.model_copy(update=changes)
    return entry.model_copy(update={"name": f"{entry.name} {acquired:%Y%m%d}", "record": record})


def fill_dates(collection: Collection, paths: CollectionPaths, tile: str) -> CubeInfo:
    """Give every listed date that the cube lacks a slot with the pixels of those that are there, and commit them.

    Returns:
        The cube. Its index and receipt are those of before: the stage `tile_cube` finds all dates built.
    """
    cube = paths.cube(tile)
    info = cube_info(cube)
    wanted = with_mask(wanted_dates(read_inventory(paths, tile).present, info), collection.clouds)
    there, real = {slot.date for slot in info.slots}, len(info.slots)
    slots = list(info.slots)
    for item in wanted:
        if item.date not in there:
            slots.append(item.slot(len(slots), _link_slot(cube, len(slots) % real, len(slots), item)))
    longer = info.model_copy(update={"slots": tuple(slots)})
    # one after the other, as dates arrive: each commit writes the last date's coordinate
    for count in range(real + 1, len(slots) + 1):
        commit(find_root(cube), longer.model_copy(update={"slots": tuple(slots[:count])}))
    return longer


def _link_slot(cube: Path, source: int, target: int, wanted: Wanted) -> str:
    """Make a slot of hard links to another one's files; returns its digest, which is the other's."""
    for array in (BANDS_ARRAY, CLASSES_ARRAY):
        shutil.copytree(slot_folder(cube, array, source), slot_folder(cube, array, target), copy_function=os.link)
    for place in (samples_path, look_path):
        os.link(place(cube, source), place(cube, target))
    changes = {"slot": target, "date": wanted.date, "scene_id": wanted.scene_id, "fingerprint": wanted.fingerprint}
    manifest = read_manifest(manifest_path(cube, source)).model_copy(update=changes)
    write_manifest(manifest_path(cube, target), manifest)
    return manifest.digest
