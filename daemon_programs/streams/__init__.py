"""Server-Sent Events: the transport that all live streams share.

A request that is answered with a stream ends at once for its worker thread: the socket is handed to
the one thread of the `pump`, which writes to all of them. So hundreds of streams cost no threads.
"""
