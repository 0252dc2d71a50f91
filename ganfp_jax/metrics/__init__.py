"""Metrics: functions from arrays to numbers, with the uncertainty of a finite test set."""
