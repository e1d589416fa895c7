"""Whether a tile index is about the cube beside it; light to import, since every materialisation of a cube asks."""

from pathlib import Path

import numpy as np

from agri_assets.cube.schema import CubeInfo
from agri_assets.errors import CubeError
from agri_assets.objects import file_of


def index_is_current(path: Path, info: CubeInfo) -> bool:
    """Whether an index can be read and names the active slots of its cube, all of them and no others.

    It does not where a build was killed between the commit of a date and the writing of the index.
    """
    try:
        return indexed_slots(path) == {slot.slot for slot in info.active}
    except CubeError:
        return False


def indexed_slots(path: Path) -> frozenset[int]:
    """The slots that the rows of a tile index name.

    Raises:
        CubeError: It is missing, or its slots cannot be read.
    """
    # here and not above: whoever imports the stage need not wait for a reader of tables
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file_of(path)) as file:
            blocks = file.iter_batches(2**18, columns=["slot"], use_threads=False)
            return frozenset(slot for block in blocks for slot in np.unique(block.column("slot").to_numpy()).tolist())
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise CubeError(f"{path}: the tile index cannot be read ({error}); materialise tile_cube") from None
