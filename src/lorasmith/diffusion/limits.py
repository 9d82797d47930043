"""What can be asked of a drawing, whoever asks."""

LEAST_SIDE, GREATEST_SIDE = 64, 4096
"""Pixels."""
MOST_STEPS = 1000
"""Sampling steps."""
