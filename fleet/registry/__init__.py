"""The register of hosts: added, changed, removed, asked, and invited to add themselves."""
