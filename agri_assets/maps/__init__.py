"""Wall-to-wall prediction to a Cloud-Optimised GeoTIFF."""
