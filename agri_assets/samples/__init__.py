"""The sample-scene writer: valid Sentinel-2 L2A products of a made landscape, any size."""
