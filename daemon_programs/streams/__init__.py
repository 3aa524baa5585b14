"""Live streams (Server-Sent Events): logs as they are written, state changes as they are recorded.

A request that is answered with a stream ends at once for its worker thread: the socket is handed to
the one thread of the `pump`, which writes to all of them. So hundreds of streams cost no threads.

- ``pump``       the thread: sockets, turns, keep-alives
- ``answer``     from a view to the pump
- ``permit``     whether a client may still listen
- ``log_stream`` a log as a stream
- ``follower``   reads a log on, over rotations and truncations
- ``log_files``  the files of a log, opened and held
- ``cursor``     a place in a log that outlives its rotation
- ``watcher``    inotify: tells followers when to look
- ``feed``       the recorded state changes as a stream
- ``sse``        the text of an event
"""
