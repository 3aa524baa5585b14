"""Keep supervisord, processes and files consistent with the database."""
