"""Programs of pm2."""
