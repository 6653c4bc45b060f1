"""Erasure on request: who a person is in our stores, how they leave them, and the proof that they did."""
