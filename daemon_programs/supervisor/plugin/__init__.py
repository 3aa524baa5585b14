"""What runs inside supervisord: its documented extension point, ``[rpcinterface:daemon]``.

Nothing in here imports Django, or anything slow to import: it is loaded into the one process that
must never wait. It builds on internal interfaces of supervisor 4.3, which is pinned for that reason.

- ``interface``  the calls that the gateway's client makes, and what is set up once
- ``group``      a program as supervisord holds it: replaced and withdrawn without anybody waiting
- ``process``    one process of a program: starting, ending and stopping, whole tree included
- ``configuration``  from a program's file to supervisord's objects
- ``output``, ``terminal``  what programs print, and where they print it
- ``wakeup``     the main loop is woken by children and deadlines instead of once a second
- ``broadcast``  state changes as JSON lines for whoever listens
"""
