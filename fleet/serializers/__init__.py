"""The input of the routes of hosts, checked."""
