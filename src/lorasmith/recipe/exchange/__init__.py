"""Recipes from other trainers and for them (R6): the hub trainer's JSON, kohya's TOML and JSON, an adapter's header."""
