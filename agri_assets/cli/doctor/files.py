"""What is wrong with the files alone: what killed processes were making."""

from pathlib import Path

from agri_assets.cli.doctor.finding import Finding
from agri_assets.config import CollectionsFile
from agri_assets.objects import ObjectPath
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.orphans import Orphan, find_orphans


def file_findings(root: Path, collections: CollectionsFile) -> list[Finding]:
    """Staged files and folders that nobody finishes, below the data root and beside it."""
    places = [root]
    if isinstance(root, ObjectPath):
        places += [CollectionPaths(root, name).local for name in collections.names]
    return [_finding(orphan) for place in places for orphan in find_orphans(place)]


def _finding(orphan: Orphan) -> Finding:
    def mend() -> str | None:
        return None if orphan.remove() else f"{orphan.path}: somebody is writing beside it now"

    size = f"{orphan.size / 1e6:.1f} MB"
    return Finding(f"{orphan.path} is left of a process that was killed while it wrote", f"remove it ({size})", mend)
