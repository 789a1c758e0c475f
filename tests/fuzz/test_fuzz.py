"""Each libFuzzer target for some seconds, beginning from its corpus here.

--seconds=N      for how many
LARDER_SEED=n    the random numbers it begins with
"""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from support import seed
from support.server import ROOT, SANITIZER_ENV

HERE = pathlib.Path(__file__).parent
BUILT = ROOT / "build-fuzz" / "tests"
FINDINGS = ROOT / "build" / "fuzz-findings"
NAMES = sorted(path.stem[len("fuzz_"):] for path in HERE.glob("fuzz_*.c"))
# In these a server lives through all inputs: to look for leaks behind each
# would take longer than the inputs. At the end it is done.
WHOLE_SERVERS = ("commands", "lua")


def dictionary(path):
    """The words that commands.def has for names."""
    rows = (ROOT / "server/commands/commands.def").read_text()
    names = set(re.findall(r'COMMAND\((?:NULL|"[^"]*"),\s*"([^"]+)"', rows))
    path.write_text("".join('"%s"\n' % name for name in sorted(names)))
    return path


def options(name, directory):
    if name not in WHOLE_SERVERS:
        return []
    return ["-detect_leaks=0", "-dict=%s" % dictionary(directory / "words")]


def test_all_have_a_corpus():
    assert NAMES
    for name in NAMES:
        assert list((HERE / "corpus" / name).iterdir()), name


@pytest.mark.parametrize("name", NAMES)
def test_finds_nothing(name, seconds, tmp_path):
    chosen = seed.take("fuzz " + name)
    FINDINGS.mkdir(parents=True, exist_ok=True)
    inputs = tmp_path / "inputs"
    shutil.copytree(HERE / "corpus" / name, inputs)
    with open(tmp_path / "log", "wb") as log:
        done = subprocess.run(
            [str(BUILT / ("fuzz_" + name)),
             "-max_total_time=%d" % seconds, "-timeout=20", "-seed=" + chosen,
             "-rss_limit_mb=2048", "-print_final_stats=1",
             "-artifact_prefix=%s/%s-" % (FINDINGS, name),
             *options(name, tmp_path), str(inputs)],
            env=dict(os.environ, **SANITIZER_ENV), stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, timeout=seconds * 4 + 120, cwd=tmp_path)
    text = (tmp_path / "log").read_text(errors="replace")
    assert done.returncode == 0, text[-6000:]
    runs = int(text.split("stat::number_of_executed_units:")[1].split()[0])
    print("%s: %d inputs" % (name, runs))
    assert runs > 100
