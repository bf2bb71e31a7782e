"""Dask clusters: where works run."""
