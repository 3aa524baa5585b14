"""One run of a process: prepared, probed, restarted, stopped, ended."""
