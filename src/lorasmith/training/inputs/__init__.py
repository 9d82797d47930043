"""What a run is trained on: images with captions and masks, their latents, pictures that preserve the base."""
