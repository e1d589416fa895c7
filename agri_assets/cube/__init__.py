"""The Zarr tile cube: grid, build, open, tile index, archives."""
