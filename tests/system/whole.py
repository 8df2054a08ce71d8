"""A whole system in a directory of its own, made and taken away by a test."""
import pathlib
import shutil
import tempfile

import system


def make(**options):
    # not below pytest's own directory, which is closed to the user that our programs become
    directory = pathlib.Path(tempfile.mkdtemp(prefix="engawa-"))
    directory.chmod(0o711)
    return system.Engawa(directory, **options)


def unmake(engawa):
    engawa.stop()
    shutil.rmtree(engawa.dir)
