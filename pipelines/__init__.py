"""Steps of the use cases and their contact with the world outside."""
