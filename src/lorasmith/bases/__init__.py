"""Base models as parts: denoiser, text encoders, VAE and tokenizers of the families sd1, sd2 and sdxl."""
