"""What runs inside supervisord: its documented extension point, ``[rpcinterface:daemon]``.

Nothing in here imports Django, or anything slow to import: it is loaded into the one process that
must never wait. It builds on internal interfaces of supervisor 4.3, which is pinned for that reason.
"""
