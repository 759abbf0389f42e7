"""Interrupts a command when a file of a name appears, and lists what is left.

Usage: interrupt.py SIGNAL FOLDER PATTERN COMMAND...

FOLDER is emptied first and is the command's folder for temporary files. Its
standard input stays open, so that a command that reads it waits.
"""
import glob
import os
import shutil
import signal
import subprocess
import sys
import time

name, folder, pattern, *command = sys.argv[1:]
number = getattr(signal, name)
shutil.rmtree(folder, ignore_errors=True)
os.makedirs(folder)


def prepare():
    # Shells without a terminal start commands with SIGINT ignored.
    signal.signal(number, signal.SIG_DFL)


process = subprocess.Popen(command, stdin=subprocess.PIPE, preexec_fn=prepare,
                           env=dict(os.environ, TMPDIR=folder))
end = time.time() + 60
while not glob.glob(os.path.join(folder, pattern)) and time.time() < end:
    if process.poll() is not None:
        sys.exit(f"ended with {process.returncode} before {pattern} was there")
    time.sleep(0.001)
process.send_signal(number)
process.wait(60)
if process.returncode != -number:
    sys.exit(f"ended with {process.returncode}, expected {-number}")
left = sorted(os.listdir(folder))
print(name, "left", left if left else "nothing")
