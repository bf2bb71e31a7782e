"""Products as NetCDF and CSV files."""
