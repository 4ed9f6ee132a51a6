"""Code: right and wrong programs, every trick on the verdict, every reach for the host, and the limits."""

from __future__ import annotations

import ast
import json
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from verifiers import became_true, code, json_lines, needs_corpora, programs

from scripts.verify import Answer, Verdict, VerifierPool, VerifySettings
from scripts.verify import code as code_verifier
from scripts.verify.code import same_output
from scripts.verify.sandbox import Outcome

ROOT = Path(__file__).parents[2]
ANSWER = code("assert f(1) == 2", "assert f(5) == 6", entry_point="f")


@pytest.fixture(scope="module")
def strict() -> Iterator[VerifierPool]:
    """Limits low enough to be met."""
    settings = VerifySettings(code_cpu_seconds=1, code_wall_seconds=600.0, code_memory=256, code_disk=4, code_output=2)
    with VerifierPool(workers=1, settings=settings) as pool:
        yield pool


RIGHT = programs("right")


@pytest.mark.parametrize("name", RIGHT)
def test_right_programs_pass(pool: VerifierPool, name: str) -> None:
    verdict = pool.verify(RIGHT[name].blocks[0], ANSWER)
    assert verdict.correct is True, verdict


HACKS = programs("tricks")


@pytest.mark.parametrize("name", HACKS)
def test_no_trick_passes(strict: VerifierPool, name: str) -> None:
    verdict = strict.verify(HACKS[name].blocks[0], ANSWER)
    assert verdict.correct is False, verdict


TEST_HACKS = programs("tricks_on_tests")


@pytest.mark.parametrize("name", TEST_HACKS)
def test_no_trick_on_what_a_test_uses_passes(pool: VerifierPool, name: str) -> None:
    program, test = TEST_HACKS[name].blocks
    verdict = pool.verify(program, code(test, entry_point="f"))
    assert verdict.correct is False, verdict


UNVERIFIABLE = programs("unverifiable")


@pytest.mark.parametrize("name", UNVERIFIABLE)
def test_a_test_that_would_have_to_trust_the_program_is_unverifiable(strict: VerifierPool, name: str) -> None:
    program, test = UNVERIFIABLE[name].blocks
    verdict = strict.verify(program, code(test, entry_point="f"))
    assert verdict.correct is None, verdict


STYLES = programs("styles")


@pytest.mark.parametrize("name", STYLES)
def test_tests_of_every_style_work(pool: VerifierPool, name: str) -> None:
    program, test = STYLES[name].blocks
    verdict = pool.verify(program, code(test))
    assert verdict.correct is True, verdict


SETUP = """
class Node:
    def __init__(self, value, next=None):
        self.value, self.next = value, next
def to_list(node):
    return [] if node is None else [node.value, *to_list(node.next)]
"""


def test_the_setup_s_classes_cross_as_data_and_its_helpers_are_the_tests_own(pool: VerifierPool) -> None:
    answer = code("assert to_list(f(Node(1, Node(2)))) == [2, 1]", entry_point="f", setup=SETUP)
    right = "def f(n):\n    r = None\n    while n:\n        r, n = Node(n.value, r), n.next\n    return r"
    assert pool.verify(right, answer).correct is True
    assert pool.verify(f"{SETUP}\n{right}", answer).correct is True
    assert pool.verify("def f(n):\n    return n\ndef to_list(n):\n    return [2, 1]", answer).correct is False
    evil = "class Node:\n    def __eq__(self, o): return True\ndef f(n):\n    return Node()"
    assert pool.verify(evil, answer).correct is False


def test_the_setup_s_exceptions_are_the_tests_own(pool: VerifierPool) -> None:
    setup = (
        "class Refused(Exception):\n    def __init__(self, code, why):\n        super().__init__(why)\n"
        "        self.code = code\n    def describe(self):\n        return f'{self.code} {self}'\n"
    )
    test = (
        "try:\n    f()\n    assert False\nexcept Refused as error:\n"
        "    assert (error.code, error.args, error.describe()) == (7, ('no',), '7 no')"
    )
    answer = code(test, entry_point="f", setup=setup)
    raises = "def f():\n    raise Refused(7, 'no')\n"
    assert pool.verify(raises, answer).correct is True
    assert pool.verify(setup + raises, answer).correct is True
    assert pool.verify("def f():\n    raise Refused(8, 'no')\n", answer).correct is False
    lies = "def f():\n    error = Refused(8, 'no')\n    error.describe = lambda: '7 no'\n    raise error\n"
    assert pool.verify(lies, code(test.replace("(7, ('no',)", "(8, ('no',)"), setup=setup)).correct is False


def test_an_exception_that_no_test_catches_is_named_in_the_reason(pool: VerifierPool) -> None:
    own = "class MyError(KeyError):\n    pass\ndef f(x):\n    raise MyError('no key')"
    assert pool.verify(own, ANSWER).reason == "program raised MyError: 'no key' (test 1 of 2)"
    silent = "class MyError(Exception):\n    pass\ndef f(x):\n    raise MyError"
    assert pool.verify(silent, ANSWER).reason == "program raised MyError (test 1 of 2)"
    at_import = "def f(x):\n    return x\nraise LookupError('early')"
    assert pool.verify(at_import, ANSWER).reason == "program raised LookupError: early"


def io(stdin: str, stdout: str) -> Answer:
    return code({"input": stdin, "output": stdout})


@pytest.mark.parametrize(
    ("program", "correct"),
    [
        ("print(int(input()) ** 2)", True),
        ("import sys\nfor line in sys.stdin: print(int(line) ** 2)", True),
        ("print(int(input()) ** 2, end='  \\n\\n')", True),
        ("def main():\n    print(int(input()) ** 2)\nif __name__ == '__main__':\n    main()", True),
        ("import sys\nprint(int(input()) ** 2)\nsys.exit(0)", True),
        ("import atexit\natexit.register(print, int(input()) ** 2)", True),
        ("print(144)\nprint(145)", False),
        ("print(int(input()))", False),
        ("print(144)\nraise ValueError", False),
        ("import sys\nprint(144)\nsys.exit(3)", False),
        ("import os\nos._exit(0)", False),
        ("print(open(0).read())", False),
        ("while True: print('a' * 1000)", False),
    ],
)
def test_standard_input_and_output(strict: VerifierPool, program: str, correct: bool) -> None:
    assert strict.verify(program, io("12\n", "144\n")).correct is correct


IDIOMS = programs("idioms")
IDIOMS_INPUT = "3\n10 -2 34\n"


@pytest.mark.parametrize("name", IDIOMS)
def test_what_plain_python_runs_runs_here(pool: VerifierPool, tmp_path: Path, name: str) -> None:
    (program,) = IDIOMS[name].blocks
    assert _run_plainly(tmp_path, program) == "42"
    verdict = pool.verify(program, io(IDIOMS_INPUT, "42\n"))
    assert verdict.correct is True, verdict


def _run_plainly(folder: Path, program: str) -> str:
    """What `python program.py <input >output` writes."""
    for name, text in {"program.py": f"{program}\n", "input": IDIOMS_INPUT}.items():
        (folder / name).write_text(text)
    with (folder / "input").open() as stdin, (folder / "output").open("w") as stdout:
        command = [sys.executable, "program.py"]
        subprocess.run(command, cwd=folder, stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL, check=True)
    return (folder / "output").read_text().strip()


def test_line_ends_of_windows_in_the_input_are_line_ends(pool: VerifierPool) -> None:
    program = "import sys\nprint(input() == 'a', sys.stdin.read() == 'b\\n')"
    assert pool.verify(program, io("a\r\nb\r\n", "True True")).correct is True


def test_the_setup_comes_before_a_whole_program_and_apart_from_it(pool: VerifierPool) -> None:
    answer = code({"input": "2", "output": "4"}, setup="from math import *\nfrom builtins import *\nimport sys")
    program = "from __future__ import annotations\ndef f(x: Unknown): return int(pow(x, 2))\nprint(f(int(input())))"
    assert pool.verify(program, answer).correct is True
    assert pool.verify("import sys\nprint(pow(2, 2, 3) + 3)\nexit()", answer).correct is True


def test_integers_have_as_many_digits_as_in_livecodebench(pool: VerifierPool) -> None:
    """Its runner allows 50,000; Python alone 4,300."""
    tests = [f"assert f(6000) == {hex(7**6000)}", "assert len(str(f(6000))) == 5071"]
    assert pool.verify("def f(n):\n    return 7 ** n", code(*tests)).correct is True
    assert pool.verify("print(len(str(int('1' * 49_999))))", io("", "49999\n")).correct is True
    assert pool.verify("print(len(str(10 ** 50_001)))", io("", "50002\n")).correct is False


def test_a_test_may_spell_a_long_integer_out(pool: VerifierPool) -> None:
    answer = code(f"assert f() == 1{'0' * 5000}")
    assert pool.verify("def f():\n    return 10 ** 5000", answer).correct is True
    assert pool.verify("def f():\n    return 10 ** 5001", answer).correct is False


@pytest.mark.parametrize(
    ("output", "expected", "same"),
    [
        ("5\n", "5", True),
        (" 5", "5", True),
        ("5", "  5\n", True),
        ("1 2 \n 3\n\n", "1 2\n3", True),
        ("\n\n5", "5", True),
        ("a\r\nb", "a\nb", True),
        ("0.50", "0.5", True),
        ("1  2", "1 2", True),
        ("1e3", "1000", True),
        ("-0.0 +1", "0 1.0", True),
        ("0.1", "0.1000000000000000055", False),  # exactly: two floats of one value are two texts
        ("0.333333", "0.333333333333", False),
        ("50000000000000000", "50000000000000001", False),
        ("a  b", "a b", False),
        ("Yes", "YES", False),
        ("1 2", "1\n2", False),
        ("1\n\n2", "1\n2", False),
        ("", "0", False),
        ("5\n6", "5", False),
        ("nan", "NaN", False),
        ("sNaN", "snan 1", False),
        ("1e999999999", "1", False),
    ],
)
def test_outputs_are_compared_as_by_livecodebench(output: str, expected: str, same: bool) -> None:
    assert same_output(output, expected) is same
    assert same_output(expected, output) is same


def test_asserts_and_runs_may_be_mixed_and_all_must_pass(pool: VerifierPool) -> None:
    program = "def f(x):\n    return x + 1\nif __name__ == '__main__':\n    print(f(int(input())))"
    both = code("assert f(1) == 2", {"input": "1", "output": "2"}, {"input": "3", "output": "4"})
    assert pool.verify(program, both).correct is True
    assert pool.verify(program, code("assert f(1) == 2", {"input": "1", "output": "3"})).correct is False
    assert pool.verify(program, code("assert f(1) == 3", {"input": "1", "output": "2"})).correct is False


LIMITS = programs("limits")


@pytest.mark.parametrize("name", LIMITS)
def test_limits_hold_and_are_named(strict: VerifierPool, name: str) -> None:
    (program,) = LIMITS[name].blocks
    with socket.create_server(("127.0.0.1", 0)) as server:
        verdict = strict.verify(program.replace("PORT", str(server.getsockname()[1])), ANSWER)
    assert verdict.correct is False
    assert verdict.reason.startswith(LIMITS[name].reason), verdict


def test_a_program_that_waits_is_wrong() -> None:
    """In parallel, with a wall time in which they reach their waiting even on a busy machine."""
    waiting = [
        "import time\ndef f(x):\n    time.sleep(60)",
        "import threading\ndef f(x):\n    threading.Lock().acquire() and threading.Event().wait()",
        "import os\ndef f(x):\n    os.read(os.pipe()[0], 1)",
    ]
    with VerifierPool(3, VerifySettings(code_cpu_seconds=1, code_wall_seconds=6.0)) as pool:
        verdicts = pool.verify_many([(program, ANSWER) for program in waiting])
        assert all(_children(each._process.pid) for each in pool._workers)  # each has run one, in a sandbox
    expected = (False, "timeout: it waited for more than 6 s")
    assert [(verdict.correct, verdict.reason) for verdict in verdicts] == [expected] * 3


@pytest.mark.parametrize(
    ("cpu", "overdue", "waiting", "verdict"),
    [
        (9.04, False, False, Verdict(False, "timeout: more than 10 s of CPU time")),  # 10 by the kernel's ticks
        (10.02, True, False, Verdict(False, "timeout: more than 10 s of CPU time")),
        (9.04, True, False, Verdict(None, "timeout: the machine gave it 9.0 s of CPU time in 30 s")),
        (0.1, True, True, Verdict(False, "timeout: it waited for more than 30 s")),
        (0.1, False, False, Verdict(False, "program ended by SIGKILL")),
    ],
)
def test_a_killed_program_s_end_has_its_reason(cpu: float, overdue: bool, waiting: bool, verdict: Verdict) -> None:
    outcome = Outcome(status=9, cpu=cpu, wall=30.1, overdue=overdue, waiting=waiting, result=b"")
    assert code_verifier._ended(outcome, VerifySettings(), "") == verdict


def test_a_program_that_the_machine_starves_is_unverifiable() -> None:
    """It works until the wall time is over, and has not used up its CPU time by then."""
    with VerifierPool(1, VerifySettings(code_cpu_seconds=2, code_wall_seconds=2.0)) as pool:
        verdict = pool.verify("import time\ndef f(x):\n    time.sleep(0.5)\n    while True: pass", ANSWER)
    assert verdict.correct is None
    assert verdict.reason.startswith("timeout: the machine gave it ")


PROBES = {
    "the password file": "def f(): return open('/etc/passwd').read()",
    "a file of the user's": f"def f(): return open({__file__!r}).read()",
    "the project": f"import os\ndef f(): return os.listdir({str(ROOT)!r})",
    "processes": "import os\ndef f(): return os.listdir('/proc')",
    "a write into the library": "import os\ndef f(): return open(os.path.join(os.path.dirname(os.__file__), 'x'), 'w')",
    "a write at the root": "def f(): return open('/x', 'w')",
}


@pytest.mark.parametrize("name", PROBES)
def test_the_host_is_out_of_sight(pool: VerifierPool, name: str) -> None:
    verdict = pool.verify(PROBES[name], code("f()", entry_point="f"))
    assert verdict.correct is False
    assert "Error" in verdict.reason


def test_the_environment_and_the_user_are_not_ours(pool: VerifierPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEBULA_TEST_SECRET", "s3cret")
    program = (
        "import os\ndef variable(name): return os.environ.get(name)\ndef ids(): return os.getuid(), os.getpid()\n"
        "def files(at='/'):\n    found = []\n    for name in os.listdir(at):\n        path = os.path.join(at, name)\n"
        "        if os.path.isfile(path): found.append(path)\n"
        "        elif os.path.isdir(path) and name not in ('lib', 'lib32', 'lib64'): found += files(path)\n"
        "    return found"
    )
    tests = [
        "assert variable('NEBULA_TEST_SECRET') is None",
        "assert ids() == (1000, 1)",
        "assert [path for path in files() if not path.startswith('/usr/share/zoneinfo/')] == ['/tmp/program.py']",
    ]
    verdict = pool.verify(program, code(*tests))
    assert verdict.correct is True, verdict


def test_nothing_is_left_behind(strict: VerifierPool) -> None:
    """Threads that outlive the function, files: gone before the next program, and none of it on the host."""
    leaves = (
        "import contextlib, os, threading, time\nopen('/tmp/left-behind', 'w').write('x')\n"
        "with contextlib.suppress(OSError): os.chmod('/tmp', 0o700)\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\ndef f(x):\n    return x + 1"
    )
    assert strict.verify(leaves, ANSWER).correct is True
    assert not Path("/tmp/left-behind").exists()
    looks = (
        "import os\ndef f(x):\n    assert os.listdir('/tmp') == ['program.py'] == os.listdir('.')\n"
        "    assert os.stat('/tmp').st_mode & 0o777 == 0o777 and open('program.py').read().startswith('import os')\n"
        "    return x + 1"
    )
    verdict = strict.verify(looks, ANSWER)
    assert verdict.correct is True, verdict


def test_closing_the_pool_ends_every_process() -> None:
    pool = VerifierPool(workers=1)
    assert pool.verify(RIGHT["plain"].blocks[0], ANSWER).correct is True
    worker = pool._workers[0]._process.pid
    zygotes = [int(line) for line in _children(worker)]
    assert zygotes
    pool.close()
    assert became_true(lambda: not any(Path(f"/proc/{pid}").exists() for pid in zygotes))


def _children(process: int) -> list[str]:
    return Path(f"/proc/{process}/task/{process}/children").read_text().split()


def test_if_isolation_is_impossible_programs_are_refused() -> None:
    """In a user namespace that allows no further ones; the configuration can allow programs in so many words."""
    script = (
        "from scripts.verify import *\n"
        "answer = Answer('code', {'tests': ['assert f(1) == 2']})\n"
        "for isolation in ('require', 'allow-none'):\n"
        "    print(verify('def f(x): return x + 1', answer, VerifySettings(code_isolation=isolation)))\n"
    )
    command = ["unshare", "-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"', "sh"]
    done = subprocess.run([*command, sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    if "unshare:" in done.stderr or "Permission denied" in done.stderr:
        pytest.skip(f"this machine cannot make the namespace that the test needs: {done.stderr[-200:]}")
    refused, allowed = done.stdout.splitlines()
    assert refused.startswith("Verdict(correct=None, reason='sandbox: no isolation on this machine")
    assert "allow-none" in refused
    assert allowed == "Verdict(correct=True, reason='passed 1 tests')"


def test_it_works_inside_a_container_s_user_namespace() -> None:
    """As in a container made without privileges: the namespace has no other user than its maker."""
    script = (
        "from scripts.verify import *\n"
        "print(verify('def f(x): return x + 1', Answer('code', {'tests': ['assert f(1) == 2']})))"
    )
    command = ["unshare", "-Ur", sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if "unshare:" in done.stderr:
        pytest.skip(f"this machine cannot nest namespaces: {done.stderr[-200:]}")
    assert done.stdout.strip() == "Verdict(correct=True, reason='passed 1 tests')"


def test_root_without_capabilities_reads_which_one_is_missing() -> None:
    """As root finds itself in an Apptainer container: the kernel then refuses it any user namespace."""
    script = (
        "from scripts.verify import *\n"
        "print(verify('def f(x): return x + 1', Answer('code', {'tests': ['assert f(1) == 2']})))"
    )
    command = ["unshare", "-Ur", "setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    done = subprocess.run([*command, sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    if "unshare:" in done.stderr or "setpriv:" in done.stderr:
        pytest.skip(f"this machine cannot make the namespace that the test needs: {done.stderr[-200:]}")
    assert done.stdout.startswith("Verdict(correct=None, reason='sandbox: no isolation on this machine")
    assert "CAP_SETFCAP" in done.stdout


def human_eval() -> list[tuple[str, str, Answer]]:
    rows = json_lines("human_eval/HumanEval.jsonl.gz")
    return [
        (
            row["task_id"],
            row["prompt"] + row["canonical_solution"],
            code(row["test"], f"check({row['entry_point']})", entry_point=row["entry_point"], setup=row["prompt"]),
        )
        for row in rows
    ]


@needs_corpora
def test_human_eval_s_canonical_solutions_pass(pool: VerifierPool) -> None:
    problems = human_eval()
    verdicts = pool.verify_many([(f"```python\n{program}\n```", answer) for _, program, answer in problems])
    assert [
        (name, verdict) for (name, _, _), verdict in zip(problems, verdicts, strict=True) if not verdict.correct
    ] == []


@needs_corpora
def test_human_eval_s_solutions_made_wrong_fail(pool: VerifierPool) -> None:
    """Every function returns something else than it should: a wrapper around what it computes."""
    problems = human_eval()
    items = [(_spoiled(program, answer.spec["entry_point"]), answer) for _, program, answer in problems]
    verdicts = pool.verify_many(items)
    assert [
        (name, verdict)
        for (name, _, _), verdict in zip(problems, verdicts, strict=True)
        if verdict.correct is not False
    ] == []


def _spoiled(program: str, name: str) -> str:
    return f"{program}\n_{name} = {name}\ndef {name}(*a, **k):\n    return ['spoiled', _{name}(*a, **k)]\n"


@needs_corpora
def test_mutants_get_the_verdict_that_plain_execution_gives(pool: VerifierPool) -> None:
    """One operator or constant changed: our verdict equals that of program and tests in one plain process."""
    chance = random.Random(5)
    items = []
    for _, program, answer in chance.sample(human_eval(), 24):
        mutant = _mutated(program, chance)
        if mutant:
            items.append((mutant, answer))
    verdicts = pool.verify_many(items)
    plain = [_passes_plainly(program, answer) for program, answer in items]
    assert [verdict.correct for verdict in verdicts] == plain
    assert 0 < sum(plain) < len(plain)


def _mutated(program: str, chance: random.Random) -> str | None:
    """The program with one comparison, operator or number of its last function changed."""
    tree = ast.parse(program)
    changes = {
        ast.Add: ast.Sub,
        ast.Sub: ast.Add,
        ast.Lt: ast.LtE,
        ast.LtE: ast.Lt,
        ast.Gt: ast.GtE,
        ast.Eq: ast.NotEq,
        ast.Mult: ast.Add,
    }
    places = []
    for node in ast.walk(tree.body[-1]):
        if isinstance(node, ast.BinOp) and type(node.op) in changes:
            places.append((node, "op"))
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in changes:
            places.append((node, "ops"))
        elif isinstance(node, ast.Constant) and type(node.value) is int:
            places.append((node, "value"))
    if not places:
        return None
    node, field = chance.choice(places)
    if field == "value":
        node.value += 1
    elif field == "op":
        node.op = changes[type(node.op)]()
    else:
        node.ops[0] = changes[type(node.ops[0])]()
    return ast.unparse(tree)


def _passes_plainly(program: str, answer: Answer) -> bool:
    """Program and tests in one process of its own, under the verifier's limit of CPU time."""
    source = "\n".join([program, *answer.spec["tests"]])
    command = ["sh", "-c", 'ulimit -t 10; exec "$@"', "sh", sys.executable, "-I", "-"]
    return subprocess.run(command, input=source.encode(), capture_output=True).returncode == 0


@needs_corpora
def test_mbpp_s_canonical_solutions_pass(pool: VerifierPool) -> None:
    items = [(row["canonical_solution"], code(*row["test_list"])) for row in json_lines("mbpp/code_eval_mbpp.jsonl")]
    assert [verdict for verdict in pool.verify_many(items) if not verdict.correct] == []


@needs_corpora
def test_a_set_with_broken_items_gets_the_verdicts_of_plain_execution(pool: VerifierPool) -> None:
    """Some of Shadow-HumanEval's tests are no Python, name what is not there, or contradict the solution."""
    items = []
    for row in json_lines("shadow_humaneval/python.jsonl"):
        name = json.loads(row["labels"])["entry_point"]
        program = row["content"] + row["canonical_solution"]
        items.append((program, code(row["test"], f"check({name})", entry_point=name)))
    verdicts = pool.verify_many(items)
    assert [verdict.correct is True for verdict in verdicts] == [_passes_plainly(*item) for item in items]
    assert {verdict.reason.partition(":")[0] for verdict in verdicts if verdict.correct is None} == {
        "bad spec",
        "bad test",
    }
