"""From a stage's outcome to what Dagster shows: figures, tables, pictures, warnings and the data version."""

import base64
from pathlib import Path
from typing import Any

import dagster as dg

from agri_assets.objects import locate
from agri_assets.store.receipt import Outcome, Scalar

PICTURE_LIMIT = 100_000
"""Largest picture, in bytes, that goes into an event: events live in the run database."""


def picture(path: Path) -> dg.MetadataValue:
    """A PNG file shown inline, or a link to it where it is too large for the event log."""
    content = path.read_bytes()
    if len(content) > PICTURE_LIMIT:
        return dg.MetadataValue.path(str(path))
    encoded = base64.b64encode(content).decode()
    return dg.MetadataValue.md(f"![{path.stem}](data:image/png;base64,{encoded})")


def metadata_of(outcome: Outcome) -> dict[str, Any]:
    """Everything an outcome tells, as Dagster metadata values."""
    values: dict[str, Any] = {
        "path": dg.MetadataValue.path(str(outcome.path)),
        "summary": outcome.summary,
        "fingerprint": outcome.fingerprint,
        "already_up_to_date": outcome.reused,
    }
    values |= {key: shown(value) for key, value in outcome.metadata.items() if value is not None}
    if (rows := table_file(outcome)) is not None:
        values["dagster/column_schema"] = column_schema(rows)
    for title, table in outcome.tables.items():
        if table.rows:
            values[title] = dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in table.rows])
    values |= {title: picture(path) for title, path in outcome.pictures.items() if path.exists()}
    if outcome.warnings:
        # names of scenes and classes may be anything: none of them is markup
        told = (warning.replace("&", "&amp;").replace("<", "&lt;") for warning in outcome.warnings)
        values["warnings"] = dg.MetadataValue.md("\n".join(f"- {warning}" for warning in told))
    return values


def shown(value: Scalar) -> Any:
    """A figure as it is; a path or an address of a file as one that can be copied."""
    if isinstance(value, str) and value.startswith(("/", "s3://")) and " " not in value:
        return dg.MetadataValue.path(value)
    return value


def table_file(outcome: Outcome) -> Path | None:
    """The table that an output is, or has beside it as its index."""
    named = outcome.metadata.get("index")
    path = locate(named) if isinstance(named, str) else outcome.path
    return path if path.suffix == ".parquet" and path.exists() else None


def column_schema(path: Path) -> dg.TableSchema:
    """The columns of a Parquet file, with what those of the tile index mean."""
    import pyarrow.parquet as pq

    from agri_assets.cube.index import DESCRIPTIONS
    from agri_assets.objects import file_of

    return dg.TableSchema(
        [
            dg.TableColumn(field.name, str(field.type), description=DESCRIPTIONS.get(field.name))
            for field in pq.read_schema(file_of(path))
        ]
    )


def materialized(outcome: Outcome, *checks: dg.AssetCheckResult) -> dg.MaterializeResult:
    """The result of an asset whose stage ended with `outcome`."""
    return dg.MaterializeResult(
        metadata=metadata_of(outcome),
        data_version=dg.DataVersion(outcome.data_version),
        check_results=list(checks),
    )
