"""Benchmarks: what the service costs, against what a user would otherwise pick, on this machine and in the same run."""
