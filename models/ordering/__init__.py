"""From a distribution of demand to an order: economics, order quantities, and stock that ages."""
