"""A worker of a port range: ``mail.py PORT``."""

import random
import sys
import time

if __name__ == "__main__":
    while True:
        order, moment = random.randint(10_000, 99_999), time.strftime("%H:%M:%S")
        print(f"{moment} worker {sys.argv[1]}: sent the confirmation of order {order}", flush=True)
        end = time.process_time() + random.random() * 0.08
        while time.process_time() < end:
            pass
        time.sleep(random.random() * 2)
