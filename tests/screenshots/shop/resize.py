"""A job that takes its time."""

import time

if __name__ == "__main__":
    for done in range(0, 1201, 12):
        print(f"resized {done} of 1200 images", flush=True)
        time.sleep(5)
