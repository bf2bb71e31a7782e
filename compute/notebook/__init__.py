"""What notebooks ask of a published cube: pictures of a metric, and where one of its numbers comes from."""
