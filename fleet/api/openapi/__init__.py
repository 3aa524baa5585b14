"""Describe the routes of hosts for the OpenAPI document. This code does not run when a request is served."""
