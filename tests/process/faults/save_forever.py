"""Saves checkpoints until it is killed: `save_forever.py FOLDER [SEED]`; prints each step once `save` has returned.

With a seed the process kills itself, after three confirmed saves, before a random one of the operations (open, rename,
remove, ...) that Python does in the folder: a moment that an outside kill would hit once in a thousand times.
"""

import os
import random
import signal
import sys

import numpy as np

from jaxvae.training.checkpoints.checkpoint import save, steps

EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.scandir", "shutil.rmtree")


def state_at(step):
    """A state whose every number tells its step."""
    return {"w": np.full((40, 50), step, np.float32), "step": np.asarray(step, np.int32)}


def die_at(count, folder, events):
    """Kills this process at the `count`-th of these operations below `folder`."""
    left = [count]

    def hook(event, arguments):
        # rmtree removes by a name relative to an open folder, so those two count wherever they happen.
        if event in events and (event in ("os.remove", "os.rmdir") or folder in str(arguments[0])):
            left[0] -= 1
            if left[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def main(folder, mode="forever", seed="0"):
    step = max(steps(folder), default=0)
    for count in range(1, 10**6):
        if count == 4 and mode == "anywhere":
            die_at(random.Random(int(seed)).randrange(1, 200), folder, EVENTS)
        if count == 4 and mode == "deleting":
            die_at(random.Random(int(seed)).randrange(1, 60), folder, ("os.remove", "os.rmdir"))
        step += 1
        save(folder, state_at(step), step=step, keep=2, metadata={"step": step})
        print(step, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
