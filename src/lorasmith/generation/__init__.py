"""From prompts to pictures: conditioning, batched sampling, pictures that carry their recipe, grids."""
