"""Multiple imputation by bootstrap EM: completed data sets that carry their uncertainty, and what to do with them."""
