"""What the hosts have told, read over all of them. They are only asked for their logs."""
