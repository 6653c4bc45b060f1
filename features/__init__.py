"""What Python adds to features: schemas, point-in-time rules, leak detection. Pure functions."""
