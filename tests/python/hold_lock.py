"""Attaches as a puller, takes the lock that pullers share, and keeps it: NAME."""
import sys

from shm_comm import Puller

puller = Puller(sys.argv[1], timeout_connect=60.0)
puller._lock.acquire()
print("held", flush=True)
sys.stdin.read()
