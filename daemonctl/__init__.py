"""``daemonctl``: the programs of a stack from the command line, over HTTP.

It imports nothing of Django and nothing of the daemon: it starts fast, and works against other hosts.
"""
