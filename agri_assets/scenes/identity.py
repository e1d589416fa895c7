"""What a collection is: once there is data, its bands, units, tile size and kind of source stay what they were."""

from agri_assets.config import Collection
from agri_assets.errors import IdentityError
from agri_assets.store.commit import read_json, write_json
from agri_assets.store.layout import CollectionPaths

Identity = dict[str, str | int | list[str]]


def identity_of(collection: Collection) -> Identity:
    """The collection's identity; scenes from any kind of source are one kind, since they are one radiometry."""
    return {
        "bands": list(collection.bands),
        "units": "dn8" if collection.is_archive else "reflectance",
        "source": "archive" if collection.is_archive else "scenes",
        "tile_size": collection.tile_size,
    }


def guard_identity(collection: Collection, paths: CollectionPaths) -> None:
    """Record the collection's identity, or compare it with the recorded one.

    Raises:
        IdentityError: It changed while data of the old one exist.
    """
    current = identity_of(collection)
    recorded = read_json(paths.identity) if paths.identity.exists() else None
    if recorded == current:
        return
    if recorded is not None and _has_data(paths):
        changed = [key for key in current if not isinstance(recorded, dict) or recorded.get(key) != current[key]]
        before = "; ".join(f"{key} {recorded.get(key)}" for key in changed) if isinstance(recorded, dict) else recorded
        now = "; ".join(f"{key} {current[key]}" for key in changed)
        raise IdentityError(
            f"collection {collection.name}: {paths.folder} holds data made with {before}, collections.yaml now says "
            f"{now}; restore it, give the collection another name, or delete that folder"
        )
    write_json(paths.identity, current)


def _has_data(paths: CollectionPaths) -> bool:
    """Whether anything made from pixels exists: cubes, or their indexes."""
    return any(folder.is_dir() and any(folder.iterdir()) for folder in (paths.folder / "cube", paths.folder / "tiles"))
