"""Files of textual inversion: which there are, what they hold, and the words that call them."""
