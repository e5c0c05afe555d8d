"""Looks every 10 ms whether `after` ms have passed since it said "ready", then says "late"."""
import sys
import time

after = float(sys.argv[1]) / 1000
print("ready", flush=True)
begun = time.monotonic()
while time.monotonic() - begun < after:
    time.sleep(0.01)
print("late", flush=True)
time.sleep(60)
