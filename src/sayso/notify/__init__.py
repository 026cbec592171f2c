"""Tells others of the log: each notifier follows all executions from a place that the store keeps (decision 0028)."""
