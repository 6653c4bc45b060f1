"""Erasure on request: who a person is in the stores, how they are removed, and the proof that they were."""
