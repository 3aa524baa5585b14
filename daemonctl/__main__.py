"""``python -m daemonctl``."""

from daemonctl.cli import main

main(prog_name="daemonctl")
