"""What an administrator does to a server's database, beside the running server or without it."""
