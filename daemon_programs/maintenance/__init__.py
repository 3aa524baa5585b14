"""Keep the database, supervisord, processes and files in line with each other."""
