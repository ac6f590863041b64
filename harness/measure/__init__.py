"""Numbers to trust: from a target, a workload and settings to a record."""
