"""Finding the cube a command is about: by path, or by tile name below the data root."""

from pathlib import Path

from agri_assets.config import data_root, load_collections
from agri_assets.errors import CubeError
from agri_assets.objects import locate
from agri_assets.store.layout import CollectionPaths


def find_cubes(name: str | None, collection: str | None) -> list[Path]:
    """The cubes of a tile, or all cubes, of one collection or of every one.

    Args:
        name: A tile name, the path of a cube, or None for all.
        collection: Limits the search.

    Raises:
        CubeError: There is none.
        ConfigError: The collection is not declared.
    """
    if name is not None and Path(name).suffix == ".zarr":
        return [locate(name)]
    root, declared = data_root(), load_collections().names
    if collection is not None and collection not in declared:
        raise CubeError(f"no collection {collection!r}; collections.yaml declares {', '.join(declared)}")
    folders = [CollectionPaths(root, item).folder / "cube" for item in ([collection] if collection else declared)]
    found = sorted(path for folder in folders for path in folder.glob(f"{name or '*'}.zarr"))
    if not found:
        what = f"no cube of tile {name}" if name else "no cube"
        raise CubeError(f"{root}: {what} in {collection or 'any collection'}; materialise tile_cube first")
    return found


def find_cube(name: str, collection: str | None) -> Path:
    """The one cube of a tile.

    Raises:
        CubeError: There is none, or several collections have one.
    """
    found = find_cubes(name, collection)
    if len(found) > 1:
        names = ", ".join(path.parents[1].name for path in found)
        raise CubeError(f"tile {name} is in several collections ({names}); choose one with --collection")
    return found[0]
