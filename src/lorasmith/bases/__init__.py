"""Base models as parts: denoiser, text encoders, VAE and tokenizers of each family."""
