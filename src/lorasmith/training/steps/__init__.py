"""One step: passes through the base, losses, gradients, and what becomes of the factors."""
