"""Where large inputs and results lie, apart from the database."""
