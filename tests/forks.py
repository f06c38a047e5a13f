"""Work in a copy of the test's process, for programs whose import takes longer than what they do."""

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path


def in_a_copy(work: Callable[[], object], folder: Path) -> tuple[int, str]:
    """Work in a folder, in a copy of this process; give its exit status and what it printed."""
    printed = folder / f"printed-{os.getpid()}.txt"
    child = os.fork()
    if not child:
        terminal = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(terminal, 1)
        os.dup2(terminal, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        status = 1
        try:
            os.chdir(folder)
            work()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
            if isinstance(end.code, str):  # as Python does it
                print(end.code, file=sys.stderr)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), printed.read_text()
