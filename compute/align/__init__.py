"""Products brought onto a declared grid and calendar: the `align` job."""
