"""Which images a step shows, and the rows that are made of them."""
