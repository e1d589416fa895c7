"""The rules of the house about imports, read from the source and from a running interpreter."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from agri_assets.definitions import PRELOADED

PACKAGE = Path(__file__).resolve().parents[1] / "agri_assets"
LAYERS = [
    "redact", "errors", "progress", "buckets", "objects",
    "settings", "limits", "config_file", "config", "store", "remote", "samples", "scenes", "labels", "cube",
    "splits", "loading", "models", "training", "evaluation", "maps", "bundle", "cli", "defs", "definitions",
]  # fmt: skip
LEAVES = {f"agri_assets.{name}" for name in ("settings", "scenes.settings", "labels.settings", "splits.settings")} | {
    "agri_assets.training.recipe", "agri_assets.training.presets", "agri_assets.evaluation.settings",
    "agri_assets.maps.settings", "agri_assets.labels.worldcover",
}  # fmt: skip
"""What each package declares for `config.py`: importable from everywhere, importing nothing but each other."""

DAGSTER_ALLOWED = {"defs", "definitions.py", "cli/doctor/runs.py", "cli/doctor/records.py", "cli/doctor/__init__.py"}
HEAVY = ["torch", "keras", "timm", "lightning", "rasterio", "albumentations"]

MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module)
    return names


def layer_of(module: str) -> str:
    return module.removeprefix("agri_assets").strip(".").split(".")[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    module = ".".join(("agri_assets", *path.relative_to(PACKAGE).with_suffix("").parts))
    own = layer_of(module)
    if own in ("__init__", "__main__"):
        return
    for name in imported(path):
        if not name.startswith("agri_assets.") or name in LEAVES:
            continue
        assert module not in LEAVES, f"{module} is a leaf and imports {name}"
        assert LAYERS.index(layer_of(name)) <= LAYERS.index(own), f"{module} imports {name} from a later layer"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_domain_never_imports_dagster(path):
    relative = path.relative_to(PACKAGE)
    if relative.parts[0] in DAGSTER_ALLOWED or str(relative) in DAGSTER_ALLOWED:
        return
    assert not {name for name in imported(path) if name.split(".")[0] in ("dagster", "dagster_pipes")}


def test_only_the_definitions_import_all_of_defs_and_defs_know_no_future_annotations():
    for path in (PACKAGE / "defs").glob("*.py"):
        assert "__future__" not in imported(path), f"{path}: dagster cannot read postponed annotations"


def loaded(modules: str, heavy: list[str]) -> list[str]:
    code = f"import {modules}, json, sys; print(json.dumps([m for m in {heavy} if m in sys.modules]))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    found: list[str] = json.loads(output)
    return found


def test_loading_the_code_location_loads_nothing_heavy():
    assert loaded("agri_assets.definitions", HEAVY) == []


def test_a_cube_that_is_up_to_date_loads_nothing_that_reads_scenes_or_writes_tables():
    modules = "agri_assets.cube.build, agri_assets.cube.patrol"
    assert loaded(modules, [*HEAVY, "dask", "distributed", "geopandas", "pandas", "pyarrow", "xarray"]) == []


def test_what_steps_share_and_what_finds_work_done_loads_no_torch_and_no_client_of_object_storage():
    modules = ", ".join([*PRELOADED, "agri_assets.training.done", "agri_assets.bundle.build"])
    heavy = ["torch", "keras", "timm", "lightning", "albumentations", "obstore", "onnx", "scipy", "sklearn"]
    assert loaded(modules, heavy) == []
