"""Wheels for a CUDA machine that has its own torch and no network.

    python -m benchmarks.gpu_wheels FOLDER [--python 3.12] [--there FILE]

Run on a machine with a network: downloads what a training imports, torch aside. `--python` is that machine's Python;
`--there` is a list of the packages it has already (as `pip list --format=freeze` prints it), which stay out.
"""

import argparse
import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, distribution, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOTS = (
    *("zarr", "zarrs", "numpy", "pydantic", "pyyaml", "rich", "filelock", "defusedxml", "urllib3", "psutil", "pyarrow"),
    *("timm", "lightning", "safetensors", "scikit-learn", "pandas", "matplotlib", "albumentations", "obstore"),
    *("h3", "shapely", "pyproj", "nvidia-ml-py"),
)
"""What the trainings of `benchmarks.gpu` import, apart from torch."""

THEIRS = ("torch", "torchvision", "triton", "cuda-", "nvidia-")
"""Names, or beginnings of names, of what the machine brings itself: its build fits its driver."""

SITE = Path(__file__).parent / ".work" / "gpu-site"
PROBES = (
    *("zarrs", "timm", "lightning", "albumentations", "pydantic", "sklearn", "pyarrow", "psutil", "obstore"),
    *("pyproj", "rich", "pynvml"),
)
"""Modules whose absence means that wheels are needed."""

GLIBC = (17, 24, 27, 28, 31, 34, 35)
"""Minor versions of glibc 2 that wheels are named after; pip takes a name for another machine by the letter."""


def closure(roots: Iterable[str], there: Iterable[str] = ()) -> dict[str, str]:
    """All that some installed packages require here, with versions; without what the machine brings itself."""
    found: dict[str, str] = {}
    known = {canonicalize_name(name) for name in there}
    waiting = [canonicalize_name(name) for name in roots]
    while waiting:
        name = waiting.pop()
        if name in found or name in known or (name.startswith(THEIRS) and name not in ROOTS):
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


def collect(folder: Path, python: str, there: Iterable[str]) -> None:
    """Download the wheels."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [f"{name}=={number}" for name, number in closure(ROOTS, there).items()]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    named = [f"manylinux_2_{minor}_x86_64" for minor in GLIBC]
    platforms = [f"--platform={name}" for name in (*named, "manylinux2014_x86_64", "manylinux1_x86_64")]
    target = [f"--python-version={python}", "--implementation=cp", *platforms]
    subprocess.run([*pip, *target, "--no-deps", "--only-binary=:all:", "-d", str(folder), *wanted], check=True)
    size = sum(wheel.stat().st_size for wheel in folder.glob("*.whl"))
    print(f"{len(wanted)} wheels, {size / 1e6:.0f} MB in {folder}: python -m benchmarks.gpu --wheels {folder}")


def missing_wheels(folder: Path) -> list[str]:
    """The wheels of packages that are not installed here: what is here fits its torch."""
    wheels = {parse_wheel_filename(wheel.name)[0]: str(wheel) for wheel in sorted(folder.glob("*.whl"))}
    return [wheel for name, wheel in wheels.items() if not _installed(name)]


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def provide(folder: Path | None) -> None:
    """Make what is missing importable for this process and those it starts: from the wheels, without a network."""
    missing = [name for name in PROBES if importlib.util.find_spec(name) is None]
    if not missing:
        return
    if folder is None:
        raise SystemExit(f"missing here: {', '.join(missing)}; name a folder of wheels by --wheels (see gpu_wheels.py)")
    if not SITE.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
        subprocess.run([*pip, "--no-deps", "--target", str(SITE), *missing_wheels(folder)], check=True)
    sys.path.insert(0, str(SITE))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SITE), os.environ.get("PYTHONPATH", "")]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Download."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default=platform.python_version(), help="of the other machine (default: this one)")
    parser.add_argument("--there", type=Path, help="a list of its packages, a name a line, versions after it or not")
    args = parser.parse_args(arguments)
    lines = args.there.read_text().splitlines() if args.there else []
    collect(args.folder, args.python, [line.split("==")[0].strip() for line in lines if line.strip()])


if __name__ == "__main__":
    main()
