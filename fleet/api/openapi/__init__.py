"""The OpenAPI document of the routes of hosts. None of this runs when a request is served."""
