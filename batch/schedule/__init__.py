"""Scheduled runs: the `schedule:` section, its times, and what starts them: cron, JASMIN, systemd, Kubernetes."""
