"""The `metric` job: drought metrics of daily products, a year or a month at a time."""
