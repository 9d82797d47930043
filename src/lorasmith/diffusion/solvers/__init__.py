"""How samplers walk from noise to clean latents: short functions over sigmas, with the names of their papers."""
