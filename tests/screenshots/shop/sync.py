"""It crashes again and again."""

import sys
import time

if __name__ == "__main__":
    print("connecting to amqp://queue.internal:5672", flush=True)
    time.sleep(1.5)
    sys.exit("ConnectionRefusedError: [Errno 111] Connection refused")
