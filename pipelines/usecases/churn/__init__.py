"""Churn of a B2B SaaS: who is about to leave, why, and what to do."""
