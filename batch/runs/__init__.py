"""What ran, when, and how it ended: records, who is told of failures, and the watch over scheduled runs."""
