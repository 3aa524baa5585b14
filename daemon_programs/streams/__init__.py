"""Live streams (Server-Sent Events): logs as they are written, state changes as they are recorded.

A request that is answered with a stream ends at once for its worker thread: the socket is handed to
the one thread of the `pump`, which writes to all of them. So hundreds of streams cost no threads.
"""
