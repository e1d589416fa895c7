"""What every benchmark leaves: a table for people and a JSON file with the machine, the versions, rows and ratios."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"

Row = Mapping[str, str | int | float]


def publish(name: str, rows: Sequence[Row], ratios: Mapping[str, float], packages: Sequence[str], **more: str) -> Path:
    """Print the rows and ratios as a table and write `results/<name>.json`; `more` is said of the machine."""
    table = Table(title=name)
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    console = Console()
    console.print(table)
    for key, value in ratios.items():
        console.print(f"{key}: {value:.2f}")
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), **more}
    document = {
        "machine": machine,
        "versions": {"python": platform.python_version(), **{package: version(package) for package in packages}},
        "rows": [dict(row) for row in rows],
        "ratios": dict(ratios),
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(document, indent=2) + "\n")
    console.print(f"written: {path}")
    return path
