"""Why a score is what it is: contributions, peers, and the choice of the facts worth telling."""
