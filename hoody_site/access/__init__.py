"""Who may do what: API tokens, authentication, permissions, limits on failed attempts."""
