"""Writing an archive's samples as a cube: one slot, sixteen 64 px samples wide, in order of content hash."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from dask.delayed import delayed

from agri_assets.cube.archive_files import Archive
from agri_assets.cube.archive_survey import Sample, load, survey
from agri_assets.cube.commit import commit_root, find_root, write_coordinates
from agri_assets.cube.graph import PixelMeter, require_sane, run_graph
from agri_assets.cube.manifest import ShardRecord, SlotManifest, manifest_path, samples_path, write_manifest
from agri_assets.cube.schema import BANDS_ARRAY, CubeInfo, Slot, shard_size
from agri_assets.cube.shards import ShardWriter
from agri_assets.cube.zarr_metadata import root_document
from agri_assets.progress import meter
from agri_assets.store.commit import staged
from agri_assets.store.layout import ARCHIVE_TILE


def write_archive(archive: Archive, cube: Path, bands: tuple[str, ...], tile_size: int, source: str) -> None:
    """Write the cube of an archive, its manifest and its table of samples; replaces what is there, whole.

    Args:
        archive: The open archive.
        cube: The cube to write.
        bands: Names of the images' channels, in order.
        tile_size: Edge of an image in pixels.
        source: Fingerprint of the archive and of how it is read.

    Raises:
        ArchiveError: An image cannot be used; nothing is written then.
    """
    samples = survey(archive, len(bands), tile_size)
    info = describe(samples, bands, tile_size, source)
    job = _Job(archive, samples, info)
    with staged(cube) as staging:
        shards = job.write(staging)
        manifest = SlotManifest(slot=0, date=None, scene_id=ARCHIVE_TILE, fingerprint=source, shards=shards)
        slot = info.slots[0].model_copy(update={"digest": manifest.digest})
        document = root_document(info.model_copy(update={"slots": (slot,)}))
        write_coordinates(staging, info, document)
        commit_root(find_root(staging), document)
    with staged(samples_path(cube, 0)) as path:
        sample_table(samples, info).to_parquet(path, index=False)
    write_manifest(manifest_path(cube, 0), manifest)


def describe(samples: Sequence[Sample], bands: tuple[str, ...], tile_size: int, source: str) -> CubeInfo:
    """The cube that holds these samples: as wide as one shard, as high as needed."""
    edge = shard_size(tile_size)
    rows = -(-len(samples) // (edge // tile_size))
    slot = Slot(slot=0, date=None, scene_id=ARCHIVE_TILE, fingerprint=source, active=True, digest="")
    return CubeInfo(
        tile=ARCHIVE_TILE,
        bands=bands,
        units=samples[0].units,
        tile_size=tile_size,
        shard_size=edge,
        height=rows * tile_size,
        width=edge,
        grid=None,
        slots=(slot,),
    )


def sample_table(samples: Sequence[Sample], info: CubeInfo) -> pd.DataFrame:
    """One row per sample: its place in the cube, class, names, hashes, and its pixel grid on the ground where known."""
    number, places = np.arange(len(samples)), [sample.place for sample in samples]
    across = info.shard_size // info.tile_size
    return pd.DataFrame(
        {
            "row": (number // across).astype("int32"),
            "col": (number % across).astype("int32"),
            "class_name": [sample.image.class_name for sample in samples],
            "name": [sample.image.name for sample in samples],
            "relative": [sample.image.relative for sample in samples],
            "cell": [sample.cell for sample in samples],
            "content": [sample.content for sample in samples],
            "crs": pd.array([place.crs if place else None for place in places], dtype="string"),
            **{name: [place.transform[k] if place else np.nan for place in places] for k, name in enumerate("abcdef")},
        }
    )


@dataclass(frozen=True)
class _Job:
    archive: Archive
    samples: Sequence[Sample]
    info: CubeInfo

    def write(self, root: Path) -> tuple[ShardRecord, ...]:
        require_sane(len(self.info.shards), str(self.archive.path))
        writer = ShardWriter.open(root, BANDS_ARRAY, 0, self.info, root_document(self.info))
        tasks = [delayed(self._write_shard)(writer, y) for y, _ in self.info.shards]
        with meter(f"{self.archive.path.name}: writing the cube", len(self.samples), "images") as counter:
            progress = PixelMeter(counter)

            def finished(record: ShardRecord) -> None:
                count = len(self._samples_of(record.y))
                progress.advance(count, count * len(self.info.bands) * self.info.tile_size**2 * 2)

            return run_graph(tasks, str(self.archive.path), finished)

    def _samples_of(self, y: int) -> Sequence[Sample]:
        """The samples of the shard that begins at row `y` of pixels."""
        across = self.info.shard_size // self.info.tile_size
        first = y // self.info.tile_size * across
        return self.samples[first : first + across * across]

    def _write_shard(self, writer: ShardWriter, y: int) -> ShardRecord:
        info, size = self.info, self.info.tile_size
        across = info.shard_size // size
        block = np.zeros((len(info.bands), *info.shard_shape(y, 0)), dtype=np.uint16)
        for place, sample in enumerate(self._samples_of(y)):
            top, left = place // across * size, place % across * size
            pixels = load(self.archive, sample.image, len(info.bands), size)
            block[:, top : top + size, left : left + size] = pixels
        return writer.write(y, 0, block)
