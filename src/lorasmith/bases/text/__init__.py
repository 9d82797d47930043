"""From texts to what a denoiser is told, for training and for drawing."""
