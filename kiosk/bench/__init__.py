"""Benchmarks with budgets: each prints figures beside a baseline of the same run."""
