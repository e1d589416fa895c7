"""Read a product: its record, its radiometry, its place in a tile's inventory."""
