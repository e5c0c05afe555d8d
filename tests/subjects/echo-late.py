"""Answers each byte that it gets on its connection after two looks at the clock, 10 ms apart."""
import socket
import sys
import time

wire = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
while byte := wire.recv(1):
    begun = time.monotonic()
    while time.monotonic() - begun < 0.015:
        time.sleep(0.01)
    wire.sendall(byte)
