"""The overview, the first page of the admin: what needs attention, what runs, what has happened."""
