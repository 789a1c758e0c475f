"""hiredis as Debian 12 has it (0.14)."""

import pathlib
import subprocess

SOURCE = pathlib.Path(__file__).with_name("hiredis_client.c")


def test_hiredis(larder, tmp_path):
    program = tmp_path / "hiredis_client"
    subprocess.run(
        ["gcc", "-Wall", "-Werror", "-o", str(program), str(SOURCE),
         "-lhiredis"], stdin=subprocess.DEVNULL, check=True)
    done = subprocess.run(
        [str(program), str(larder.port)], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:-1] == [
        "ok strings", "ok pipeline", "ok nested", "ok messages"]
