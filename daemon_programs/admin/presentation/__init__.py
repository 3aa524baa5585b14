"""The presentation of live states, times and logs in the admin."""
