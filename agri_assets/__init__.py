"""Sentinel-2 scenes to a Zarr tile cube, leak-free splits, trained models, reports and maps, on Dagster."""

__version__ = "0.1.0"
