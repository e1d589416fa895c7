"""Wheels for a CUDA machine that has its own torch and no network.

python -m benchmarks.gpu_wheels FOLDER      on a machine with a network: download what a training imports, torch aside
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOTS = (
    *("zarr", "zarrs", "numpy", "pydantic", "pyyaml", "rich", "filelock", "defusedxml", "urllib3", "psutil", "pyarrow"),
    *("timm", "lightning", "safetensors", "scikit-learn", "pandas", "matplotlib", "albumentations", "obstore"),
)
"""What the trainings of `benchmarks.gpu` import, apart from torch."""

THEIRS = ("torch", "torchvision", "triton", "cuda-", "nvidia-")
"""Names, or beginnings of names, of what the machine brings itself: its build fits its driver."""

SITE = Path(__file__).parent / ".work" / "gpu-site"
PROBES = ("zarrs", "timm", "lightning", "albumentations", "pydantic", "sklearn", "pyarrow", "psutil", "obstore", "rich")
"""Modules whose absence means that wheels are needed."""


def closure(roots: Iterable[str]) -> dict[str, str]:
    """All that some installed packages require here, with versions; without what the machine brings itself."""
    found: dict[str, str] = {}
    waiting = [canonicalize_name(name) for name in roots]
    while waiting:
        name = waiting.pop()
        if name in found or name.startswith(THEIRS):
            continue
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
        for text in requires(name) or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(canonicalize_name(needed.name))
    return dict(sorted(found.items()))


def collect(folder: Path) -> None:
    """Download the wheels."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [f"{name}=={number}" for name, number in closure(ROOTS).items()]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--only-binary", ":all:", "-d", str(folder), *wanted], check=True)
    print(f"{len(wanted)} wheels in {folder}: python -m benchmarks.gpu --wheels {folder}")


def provide(folder: Path | None) -> None:
    """Make what is missing importable for this process and those it starts: from the wheels, without a network."""
    missing = [name for name in PROBES if importlib.util.find_spec(name) is None]
    if not missing:
        return
    if folder is None:
        raise SystemExit(f"missing here: {', '.join(missing)}; name a folder of wheels by --wheels (see gpu_wheels.py)")
    if not SITE.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
        wheels = sorted(str(wheel) for wheel in folder.glob("*.whl"))
        subprocess.run([*pip, "--no-deps", "--target", str(SITE), *wheels], check=True)
    sys.path.insert(0, str(SITE))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SITE), os.environ.get("PYTHONPATH", "")]))


if __name__ == "__main__":
    collect(Path(sys.argv[1]))
