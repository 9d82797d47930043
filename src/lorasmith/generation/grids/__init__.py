"""Grids (C1): one picture varied along up to three axes, drawn in batches, kept cell by cell, and looked at."""
