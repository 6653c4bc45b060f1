"""Multiple imputation by bootstrap EM: completed data sets that carry what is not known, and what to do with them."""
