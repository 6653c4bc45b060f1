"""Groups of similar stores: Gower distances, principal coordinates, trees, and what people ask about the groups."""
