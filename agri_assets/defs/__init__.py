"""The Dagster layer, thin: resolve inputs, call one domain function, return metadata."""
