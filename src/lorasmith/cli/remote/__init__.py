"""Training on a rented GPU: the task files of the tools that rent them."""
