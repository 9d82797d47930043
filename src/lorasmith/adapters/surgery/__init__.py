"""Adapters made into other adapters, taken out of checkpoints and put into them."""
