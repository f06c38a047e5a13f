"""A process that has imported what Snakemake and jobs import, and runs it and their scripts in copies of itself.

Of a job in the tests, imports take seconds and the work takes none. The scripts are those of the workflow, and the library is
that which each of them finds; only other libraries are there already.
"""

import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import traceback
from pathlib import Path

import calls
from filelock import FileLock

#: What Snakemake and jobs import of other libraries.
LIBRARIES = (
    "snakemake.cli",
    *("numpy", "pandas", "pyarrow.parquet", "pyarrow.dataset", "scipy.stats", "sklearn.metrics", "torch", "safetensors.torch"),
    *("tokenizers", "transformers", "transformers.trainer", "transformers.models.auto.modeling_auto", "accelerate", "optuna"),
    *("pydantic", "yaml", "shap", "matplotlib.figure", "jinja2", "tensorboard", "torch.utils.tensorboard"),
)

#: Python runs this first: a job's script, or Snakemake, is handed on with its terminal, and its exit status comes back.
CLIENT = """
import os, sys

wanted = sys.orig_argv[1:3] == ["-m", "snakemake"] or any("/.snakemake/scripts/" in word for word in sys.orig_argv)
if "RNALM_WARM" in os.environ and wanted:
    import json, socket

    connection = socket.socket(socket.AF_UNIX)
    connection.connect(os.environ["RNALM_WARM"])
    wanted = {"arguments": sys.orig_argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}
    socket.send_fds(connection, [json.dumps(wanted).encode() + b"\\n"], [0, 1, 2])
    os._exit((connection.recv(1) or b"\\1")[0])
"""


class Warm:
    """The process, started when it is first needed; one for all processes of a test run, with which it ends.

    Parameters
    ----------
    folder : Path
        For its socket, and the module by which jobs find it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def environment(self) -> dict[str, str]:
        """Give the variables by which jobs find the process."""
        socket_file = self.folder / "socket"
        with FileLock(self.folder / "lock"):
            if not socket_file.exists():
                (self.folder / "sitecustomize.py").write_text(CLIENT)
                tests = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
                command = [sys.executable, __file__, str(socket_file), str(tests)]
                process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
                assert process.stdout is not None
                process.stdout.readline()
        return {"PYTHONPATH": str(self.folder), "RNALM_WARM": str(socket_file)}


def serve(path: str, tests: int) -> None:
    """Wait for scripts, as long as there is the process that runs the tests."""
    for name in LIBRARIES:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(16)
    server.settimeout(2)
    print("ready", flush=True)
    while True:
        try:
            connection, _ = server.accept()
        except TimeoutError:
            try:
                os.kill(tests, 0)
            except ProcessLookupError:
                return
            continue
        connection.setblocking(True)
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            run(connection)
        connection.close()


def run(connection: socket.socket) -> None:
    """Run a script as if Python had just started with it."""
    message, terminal, _, _ = socket.recv_fds(connection, 2**20, 3)
    while not message.endswith(b"\n"):
        message += connection.recv(2**20)
    wanted = json.loads(message)
    for number, descriptor in enumerate(terminal):
        os.dup2(descriptor, number)
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    if wanted["arguments"][:2] == ["-m", "snakemake"]:
        path, sys.argv = "", wanted["arguments"][1:]
    else:
        [path] = sys.argv = wanted["arguments"][-1:]
    sys.path[0:1] = [str(Path(path).parent), *os.environ["PYTHONPATH"].split(os.pathsep)]
    status = 1
    if path and "RNALM_TRACES" in os.environ:
        calls.watch()
    try:
        runpy.run_path(path, run_name="__main__") if path else runpy.run_module(
            "snakemake", run_name="__main__", alter_sys=True
        )
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):  # as Python does it
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    if path and "RNALM_TRACES" in os.environ:
        calls.write(Path(os.environ["RNALM_TRACES"]))
    sys.stdout.flush()
    sys.stderr.flush()
    connection.send(bytes([status]))
    os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
