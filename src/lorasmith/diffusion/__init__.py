"""Pure maths of diffusion: noise schedules, noise, loss weights, samplers."""
