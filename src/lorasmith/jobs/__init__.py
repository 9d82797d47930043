"""Runs that wait in line and outlive a restart."""
