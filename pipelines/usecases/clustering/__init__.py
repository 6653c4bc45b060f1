"""Store clustering: groups of stores with similar profiles, to set one commercial policy per group."""
