"""The typed recipe, its presets, and the plan that says what a run will do before it runs."""
