"""Jobs over the cube: clusters and metrics."""
