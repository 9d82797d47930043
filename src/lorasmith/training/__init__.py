"""Training: caches, batches, optimizers, the loop, and the run folder that it leaves."""
