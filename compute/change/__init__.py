"""The `change` job: scenarios against the past of the same climate model, with what is known of their significance."""
