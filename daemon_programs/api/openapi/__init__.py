"""Describe the routes for the OpenAPI document.

Nothing in this package runs when a request is served.
"""
