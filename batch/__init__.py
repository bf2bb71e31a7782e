"""The service: specification, plan, build and the `cube` command."""
