"""Follow the hosts: hold a stream to each, and keep copies of what they tell.

One process with one thread of asyncio does so for hundreds of hosts, and a second thread for the database.
"""
