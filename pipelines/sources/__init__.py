"""Where data comes from: raw layouts, adapters of public data, simulators, landing."""
