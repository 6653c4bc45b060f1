"""What Python adds to features: schemas and point-in-time rules. Pure functions."""
