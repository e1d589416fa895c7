"""Land cover on a scene's grid, and classes to agricultural or not."""
