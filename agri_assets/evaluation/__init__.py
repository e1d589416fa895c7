"""Metrics, curves, report, comparison, champion."""
