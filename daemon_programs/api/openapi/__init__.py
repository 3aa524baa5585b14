"""What the OpenAPI document says of the routes. Nothing in here runs when a request is served."""
