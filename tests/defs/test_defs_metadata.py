"""What an asset shows of its stage's outcome: figures, files that can be opened, and the columns of its table."""

import dagster as dg
import pandas as pd
import pytest

from agri_assets.cube.index import DESCRIPTIONS, DTYPES
from agri_assets.defs.metadata import metadata_of
from agri_assets.store.receipt import Outcome, Table


def outcome(path, **changes) -> Outcome:
    fields = {"path": path, "fingerprint": "f", "data_version": "d", "summary": "s", **changes}
    return Outcome(**fields)


def test_files_are_paths_and_sentences_are_text(tmp_path):
    told = {"weights": str(tmp_path / "w"), "reason": "/a b is no path", "n": 3, "nothing": None, "far": "s3://b/x"}
    values = metadata_of(outcome(tmp_path, metadata=told))
    assert values["weights"] == dg.MetadataValue.path(str(tmp_path / "w"))
    assert values["far"] == dg.MetadataValue.path("s3://b/x")
    assert (values["reason"], values["n"]) == ("/a b is no path", 3)
    assert "nothing" not in values


@pytest.mark.parametrize("beside", [False, True])
def test_a_table_tells_its_columns(tmp_path, beside):
    table = tmp_path / "index.parquet"
    pd.DataFrame({"tile_id": ["a"], "clear_fraction": [0.5], "else": [1]}).to_parquet(table)
    found = outcome(tmp_path, metadata={"index": str(table)}) if beside else outcome(table)
    schema = metadata_of(found)["dagster/column_schema"]
    columns = {column.name: column for column in schema.columns}
    assert columns["tile_id"].description == DESCRIPTIONS["tile_id"]
    assert columns["clear_fraction"].type == "double"
    assert columns["else"].description is None


def test_an_output_without_a_table_has_no_columns(tmp_path):
    assert "dagster/column_schema" not in metadata_of(outcome(tmp_path))


def test_every_column_of_the_tile_index_is_described():
    assert set(DTYPES) <= set(DESCRIPTIONS)


def test_names_in_warnings_are_no_markup(tmp_path):
    values = metadata_of(outcome(tmp_path, warnings=("class <script>alert(1)</script> & more", "second")))
    assert values["warnings"].value == "- class &lt;script>alert(1)&lt;/script> &amp; more\n- second"


def test_a_picture_that_is_too_large_for_the_event_log_is_a_link(tmp_path):
    for name, size in (("small", 10), ("large", 200_000)):
        (tmp_path / f"{name}.png").write_bytes(bytes(size))
    pictures = {name: tmp_path / f"{name}.png" for name in ("small", "large")}
    values = metadata_of(outcome(tmp_path, pictures=pictures, tables={"t": Table(rows=({"a": 1},))}))
    assert isinstance(values["small"], dg.MarkdownMetadataValue)
    assert values["large"] == dg.MetadataValue.path(str(tmp_path / "large.png"))
    assert len(values["t"].records) == 1
