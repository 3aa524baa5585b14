"""Many hosts: a daemon that knows others, shows what they run, and passes requests on to them.

Such a daemon is called a *hub*. Each host stays its own master: what is kept here is a copy.
"""
