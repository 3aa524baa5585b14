"""The product as it is installed: its version, its state folder, and the command ``hoody-daemon``.

The daemon and ``daemonctl`` agree here, so this package imports nothing of either.
"""

__version__ = "1.0.0"
