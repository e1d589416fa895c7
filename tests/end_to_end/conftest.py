"""A temporary home in which the real commands run, as a user would run them."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

PLANTED = {
    "AWS_SECRET_ACCESS_KEY": "pLaNtEd0aws0secret0access0key",
    "AWS_SESSION_TOKEN": "pLaNtEd0aws0session0token",
    "PC_SDK_SUBSCRIPTION_KEY": "pLaNtEd0subscription0key",
}
"""Secrets in the environment of every command: none of them may be in what commands leave behind."""

SMALL_COLLECTIONS = """
collections:
  sample:
    source: {kind: sample, tiles: [31TCJ, 31TDJ], dates: 2, cloudy_dates: 1, damaged: 1, size: 1152}
    bands: [B02, B03, B04, B08, B11]
    tile_size: 32
    labels: {kind: worldcover}
    split: {resolution: 7, seed: 1}
    recipe: {epochs: 1, batch_size: 64, workers: 0}
    models:
      resnet50: {}
      efficientnet_b3: {}
      cnn_vit_hybrid: {options: {width: 64, depth: 1}}
    evaluation: {champion_minimum: 0.0, champion_ece: 1.0, bootstrap: 100}
  eurosat:
    source:
      kind: archive
      path: ${AGRI_EUROSAT}
      train: ${AGRI_EUROSAT_TRAIN:-}
      test: ${AGRI_EUROSAT_TEST:-}
    bands: [B04, B03, B02]
    labels: {kind: classes, agricultural: [AnnualCrop, PermanentCrop, Pasture]}
    recipe: {epochs: 1, workers: 0}
"""


@dataclass(frozen=True)
class Home:
    """A working directory with its own Dagster home, data root and collections."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AGRI_", "DAGSTER_"))}
        return {
            **kept,
            **PLANTED,
            "AGRI_COLLECTIONS": str(self.folder / "collections.yaml"),
            "DAGSTER_HOME": str(self.folder / "dagster_home"),
            "PYTHONWARNINGS": "ignore::FutureWarning",
        }

    def run(self, *command: str, ok: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a console script of this environment, or `python`; output is one text."""
        program = str(Path(sys.executable).with_name(command[0])) if command[0] != "python" else sys.executable
        done = subprocess.run(
            [program, *command[1:]],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=500,
        )
        assert (done.returncode == 0) == ok, f"{command} ended with {done.returncode}:\n{done.stdout[-6000:]}"
        return done

    def materialize(self, select: str, *options: str, ok: bool = True, **environment: str) -> str:
        command = ("dagster", "asset", "materialize", "-m", "agri_assets.definitions", "--select", select, *options)
        return self.run(*command, ok=ok, **environment).stdout


def make_home(folder: Path, collections: str = SMALL_COLLECTIONS) -> Home:
    (folder / "dagster_home").mkdir(parents=True)
    shutil.copy(REPOSITORY / "dagster_home" / "dagster.yaml", folder / "dagster_home")
    (folder / "collections.yaml").write_text(collections)
    return Home(folder)


@pytest.fixture
def home(tmp_path) -> Home:
    return make_home(tmp_path / "home")


@pytest.fixture(scope="session")
def finished_home(tmp_path_factory) -> Home:
    """A home in which the whole main job ran once, small; tests must leave it as they found it."""
    made = make_home(tmp_path_factory.mktemp("main-job") / "home")
    made.materialize("key:sample/tile_catalog")
    for tile in ("31TCJ", "31TDJ"):
        made.materialize("key:sample/raw_scenes or key:sample/land_cover or key:sample/tile_cube", "--partition", tile)
    made.materialize("key:sample/splits+ and not key:sample/land_map")
    made.materialize("key:sample/land_map", "--partition", "31TCJ")
    return made
