"""Code that runs inside supervisord, through its documented extension point ``[rpcinterface:daemon]``.

It must not block, since supervisord does everything in one thread, and must not import Django or anything
slow. It builds on internal interfaces of supervisor 4.3, so that version is pinned.
"""
