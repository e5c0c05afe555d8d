"""Says "ready", waits without a timeout for a timer that is a file (timerfd), and says "late"."""
import ctypes
import os
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
span = float(sys.argv[1])
timer = libc.timerfd_create(1, 0)
value = (ctypes.c_int64 * 4)(0, 0, 0, int(span * 1e9))
print("ready", flush=True)
libc.timerfd_settime(timer, 0, value, None)
os.read(timer, 8)
print("late", flush=True)
time.sleep(60)
