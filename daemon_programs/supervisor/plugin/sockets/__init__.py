"""What goes out of supervisord and into it: changes, probes, notices."""
