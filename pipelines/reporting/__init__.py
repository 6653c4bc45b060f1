"""The HTML report site: one shell, figures and tables that every use case shares."""
