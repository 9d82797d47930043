"""Cards: what is told of an adapter where it is published, from what was measured and recorded; and the publishing."""
