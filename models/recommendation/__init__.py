"""Recommendation of products from what customers hold."""
