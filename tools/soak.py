"""./soak [MINUTES]: sessions in a row through the whole relay; memory and descriptors of every program must come to rest."""
import pathlib
import re
import shutil
import sys
import tempfile
import time

import system

WARM_UP = 5        # sessions before growth counts: caches fill, the allocator finds its size
MEMORY_KIB = 2048  # what a program may have grown since then, whatever the number of sessions
DESCRIPTORS = 3


def size(part):
    """Memory that is its own (KiB) and descriptors of a program, all its processes."""
    memory = descriptors = 0
    for pid in system.family(part.pid):
        proc = pathlib.Path(f"/proc/{pid}")
        try:
            memory += sum(int(kib) for kib in re.findall(r"^Private_\w+:\s+(\d+) kB", (proc / "smaps_rollup").read_text(), re.M))
            descriptors += len(list((proc / "fd").iterdir()))
        except OSError:
            pass
    return memory, descriptors


def run(minutes, engawa):
    parts = {"gate": engawa.gate, "controller": engawa.controller, "agent": engawa.agent}
    end, sessions, first = time.monotonic() + 60 * minutes, 0, {}
    while time.monotonic() < end or sessions <= WARM_UP:
        result = engawa.connect("--click", "400,300", "--key", "Control+a", "--type", f"session {sessions}\n")
        if result["status"] != 0:
            raise system.Failed(f"session {sessions + 1}: {result['stderr'].strip()}")
        system.wait_for(lambda: engawa.agent_status()["sessions"] == 0, "the session stays at the office PC")
        sessions += 1
        if sessions == WARM_UP:
            first = {name: size(part) for name, part in parts.items()}
    grown = []
    print(f"{sessions} sessions")
    for name, part in parts.items():
        (memory_before, descriptors_before), (memory, descriptors) = first[name], size(part)
        print(f"{name}: {memory_before} -> {memory} KiB, {descriptors_before} -> {descriptors} descriptors")
        if memory > memory_before + MEMORY_KIB or descriptors > descriptors_before + DESCRIPTORS:
            grown.append(name)
    if grown:
        raise system.Failed(f"keeps growing: {', '.join(grown)}")


def main():
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    directory = pathlib.Path(tempfile.mkdtemp(prefix="engawa-soak-"))
    directory.chmod(0o711)
    try:
        with system.Engawa(directory) as engawa:
            run(minutes, engawa.start())
    except system.Failed as failure:
        sys.exit(f"soak: {failure}")
    except KeyboardInterrupt:
        pass
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
