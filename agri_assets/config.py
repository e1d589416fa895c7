"""`collections.yaml`: assembled from what each package declares for itself, read strictly and lazily per collection."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from agri_assets.config_file import ConfigFile, Node, expand, expand_text
from agri_assets.errors import ConfigError
from agri_assets.evaluation.settings import EvaluationSettings
from agri_assets.labels.settings import ClassLabels, Labels
from agri_assets.limits import Limits
from agri_assets.maps.settings import MapSettings
from agri_assets.objects import ObjectPath
from agri_assets.scenes.settings import ArchiveSource, CloudSettings, Source
from agri_assets.settings import Settings
from agri_assets.splits.settings import SplitSettings
from agri_assets.training.presets import PresetName
from agri_assets.training.recipe import HUB, MODEL_NAMES, ModelName, Recipe, resolve

COLLECTION_NAME = re.compile(r"^[a-z][a-z0-9_]*$")


def _all_models() -> dict[ModelName, dict[str, Any]]:
    return {name: {} for name in MODEL_NAMES}


def _where_dask_runs(said: str) -> str:
    if not re.fullmatch(r"threads|processes|(tcp|tls|ws|wss|ucx)://\S+", said):
        raise ValueError(f"expected threads, processes or a scheduler's address such as tcp://host:8786, got {said!r}")
    return said


class Collection(Settings):
    """One collection: a set of samples with one band list, one unit and one kind of label.

    Attributes:
        name: Its name; also the first part of its asset keys and its folder below the data root.
        bands: Band names in cube order.
        tile_size: Edge of a sample, in pixels of the finest band.
        resampling: How coarser bands are brought to the finest band's grid.
        dask: Where cubes of scenes are built: `threads`, `processes`, or the address of a Dask scheduler (`tcp://host:port`).
        recipe: The recipe shared by all models.
        models: Per model, what differs from `recipe`; absent models are not trained.
        limits: From where on its checks warn.
        licence: Of what is made from it, and the attribution that its data ask for; bundles, reports and maps say it.
    """

    name: str
    source: Source
    bands: tuple[str, ...] = Field(min_length=1)
    tile_size: int = Field(default=64, ge=32, le=256)
    resampling: Literal["nearest", "bilinear"] = "nearest"
    dask: Annotated[str, AfterValidator(_where_dask_runs)] = "threads"
    labels: Labels
    clouds: CloudSettings = CloudSettings()
    split: SplitSettings = SplitSettings()
    recipe: Recipe = Recipe()
    models: dict[ModelName, dict[str, Any]] = Field(default_factory=_all_models)
    evaluation: EvaluationSettings = EvaluationSettings()
    map: MapSettings = MapSettings()
    limits: Limits = Limits()
    licence: str = Field(default="unspecified: the terms of the training data apply", min_length=1)

    @model_validator(mode="after")
    def _coherent(self) -> "Collection":
        if isinstance(self.source, ArchiveSource) != isinstance(self.labels, ClassLabels):
            raise ValueError(
                "labels of an archive are `kind: classes`, of scenes `kind: worldcover` or `kind: parcels`"
            )
        if len(set(self.bands)) != len(self.bands):
            raise ValueError(f"bands name one band twice: {', '.join(self.bands)}")
        if self.map.stride and self.tile_size % self.map.stride:
            raise ValueError(f"map.stride must divide tile_size {self.tile_size}, got {self.map.stride}")
        return self

    @property
    def is_archive(self) -> bool:
        """Whether samples come from a labelled archive instead of scenes."""
        return isinstance(self.source, ArchiveSource)

    def recipe_for(self, model: ModelName, preset: PresetName | None = None) -> Recipe:
        """The shared recipe with this model's own settings laid over it, and its preset (or another) below both."""
        other = {} if preset is None else {"preset": preset}
        return resolve(model, self.recipe.said(), self.models[model], other)


@dataclass(frozen=True)
class Outline:
    """What the asset graph must know of a collection.

    Attributes:
        archive: Whether it is a labelled archive.
        models: The models it trains.
        scenes_from: The address that its scenes come from; None where they are on disk.
        labels_from: The same for its labels.
    """

    archive: bool
    models: tuple[ModelName, ...]
    scenes_from: str | None = None
    labels_from: str | None = None


@dataclass(frozen=True)
class CollectionsFile:
    """The parsed file; collections are validated only when asked for, so that one's unset variable breaks no other."""

    file: ConfigFile
    environment: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all collections, in file order."""
        return tuple(self.file.collections)

    def outline(self, name: str) -> Outline:
        """What the asset graph must know of a collection, without asking for any variable."""
        raw = self._node(name).value
        models = raw.get("models", MODEL_NAMES) if isinstance(raw, dict) else ()
        return Outline(
            archive=self._text(raw, "source", "kind") == "archive",
            models=tuple(model for model in MODEL_NAMES if isinstance(models, Iterable) and model in models),
            scenes_from=self._address(raw, "source"),
            labels_from=self._address(raw, "labels"),
        )

    def _text(self, raw: object, section: str, key: str) -> str | None:
        """A text of a section with its variables replaced; None where there is none: what is wrong is said later."""
        part = raw.get(section) if isinstance(raw, dict) else None
        text = part.get(key) if isinstance(part, dict) else None
        return expand_text(text, self.environment) if isinstance(text, str) else None

    def _address(self, raw: object, section: str) -> str | None:
        path = self._text(raw, section, "path")
        return path if path and is_address(path) else None

    def collection(self, name: str) -> Collection:
        """Expand, validate and return one collection.

        Raises:
            ConfigError: The collection is unknown, a variable is unset, or a value is not what is expected.
        """
        node = self._node(name)
        values = expand(node, self.environment, self.file.path)
        try:
            found = Collection.model_validate(self._absolute({"name": name, **values}))
        except ValidationError as error:
            raise ConfigError(self.file.explain(node, error)) from None
        for model in found.models:
            try:
                found.recipe_for(model)
            except ValidationError as error:
                raise ConfigError(self.file.explain(node, error, within=("models", model))) from None
        return found

    def _node(self, name: str) -> Node:
        try:
            return self.file.collections[name]
        except KeyError:
            known = ", ".join(self.names)
            raise ConfigError(f"{self.file.path}: no collection {name!r}; it declares {known}") from None

    def _absolute(self, values: dict[str, Any]) -> dict[str, Any]:
        """Make the paths of a collection absolute, counting from the file they stand in."""
        base = self.file.path.parent
        named = {
            "source": ("path", "train", "val", "test", "area"),
            "labels": ("path", "mapping"),
            "clouds": ("weights",),
        }
        for part, keys in named.items():
            section = values.get(part)
            if isinstance(section, dict):
                for key in keys:
                    if isinstance(section.get(key), str) and not is_address(section[key]):
                        section[key] = str(base / Path(section[key]).expanduser()) if section[key] else None
        models = values.get("models")
        for recipe in (values.get("recipe"), *(models.values() if isinstance(models, dict) else ())):
            weights = recipe.get("pretrained") if isinstance(recipe, dict) else None
            if isinstance(weights, str) and weights not in ("", HUB) and not is_address(weights):
                recipe["pretrained"] = str(base / Path(weights).expanduser())
        return values


def is_address(path: str) -> bool:
    """Whether a path of the configuration is an address at another host, which counts from no folder."""
    return "://" in path


def collections_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Where `collections.yaml` is: `AGRI_COLLECTIONS`, the working directory, or beside the package's checkout."""
    if named := environment.get("AGRI_COLLECTIONS"):
        return Path(named).expanduser().absolute()
    here = Path.cwd() / "collections.yaml"
    return here if here.exists() else Path(__file__).resolve().parents[1] / "collections.yaml"


def data_root(environment: Mapping[str, str] = os.environ) -> Path:
    """The data root: `AGRI_DATA_ROOT` (a directory, or an `s3://` address), or `./data`.

    Raises:
        ConfigError: It is an address of another kind, or names no bucket.
    """
    named = environment.get("AGRI_DATA_ROOT") or "data"
    if named.startswith("s3://") and named.removeprefix("s3://").strip("/"):
        return ObjectPath(named)
    if is_address(named):
        raise ConfigError(f"AGRI_DATA_ROOT={named}: expected a directory or s3://bucket/prefix")
    return Path(named).expanduser().absolute()


def load_collections(path: Path | None = None, environment: Mapping[str, str] | None = None) -> CollectionsFile:
    """Read `collections.yaml` (syntax and collection names; the rest is checked per collection).

    Raises:
        ConfigError: The file is missing, is not YAML, or declares no collections.
    """
    environment = os.environ if environment is None else environment
    return CollectionsFile(ConfigFile.read(path or collections_path(environment), COLLECTION_NAME), environment)
