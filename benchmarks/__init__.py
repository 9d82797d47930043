"""Benchmarks: every script runs ours and the peer (or the limit) on the same work and ends with ratio lines."""
