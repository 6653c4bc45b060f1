"""When a customer comes back, and with what: timing, baskets and the choice of a list."""
