"""The `train` job: a forest that stands for a land surface model."""
