"""Folders and sidecar captions as a Dataset, and what the dataset rules (D1 to D17) say about it."""
