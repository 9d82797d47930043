"""Whether a picture is like the training images, whatever words there are for them, and whether it is whole."""
