"""Server-Sent Events: the transport that all live streams share.

When a request is answered with a stream, its worker thread is free at once: the socket is handed to
the `pump`, whose single thread writes to all streams. So an open stream occupies no request thread.
"""
