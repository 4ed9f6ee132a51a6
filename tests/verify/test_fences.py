"""Code: which text of a response is its program."""

from __future__ import annotations

import pytest

from scripts.verify.fences import program_of

CODE = "def f(x):\n    return x\n"


@pytest.mark.parametrize(
    ("response", "program"),
    [
        ("x = 1", "x = 1"),
        ("```python\nx = 1\n```", "x = 1\n"),
        ("a\n```\nx = 1\n```\nb\n```py\nx = 2\n```\nc", "x = 2\n"),
        ("```python\nx = 1", "x = 1"),
        ("~~~python\nx = 1\n~~~", "x = 1\n"),
        ("````python\ns = '```'\n````", "s = '```'\n"),
        ("```python\r\nx = 1\r\n```", "x = 1\n"),
        ("  ```python\nx = 1\n  ```", "x = 1\n"),
        ("\ufeffx = 1", "x = 1"),
        ("~~~\n```\nx = 1\n~~~", "```\nx = 1\n"),  # another fence's marks end nothing
    ],
)
def test_the_last_code_block_is_the_program(response: str, program: str) -> None:
    assert program_of(response) == program


@pytest.mark.parametrize(
    "response",
    [
        f"{CODE}```",
        f"{CODE}```\n",
        f"{CODE}```\n\nIt returns its argument.\n",
        f"{CODE}```\nDone.",
        f"{CODE}~~~\n".replace("~~~", "```  "),
        f"{CODE}```\nIt prints:\n```\n5\n```\n",
    ],
)
def test_a_fence_without_its_pair_ends_the_block_that_the_prompt_began(response: str) -> None:
    assert program_of(response) == CODE


@pytest.mark.parametrize(
    "response",
    [
        f"Here it is:\n```\n{CODE}",
        f"Here it is:\n```\n{CODE}```\n```\n",
        f"```\n```python\n{CODE}```\n```\n",
        f"```\nSome words\n```python\n{CODE}```\n",
        f"Solution: ```python\n{CODE}```\n",
        f"<answer>\n```python\n{CODE}```\n</answer>",
    ],
)
def test_a_fence_too_many_or_too_few_loses_no_program(response: str) -> None:
    assert program_of(response) == CODE


@pytest.mark.parametrize("indent", ["  ", "   ", "    ", "      ", "\t"])
def test_the_indentation_of_a_fence_is_taken_off_its_block(indent: str) -> None:
    inside = "".join(f"{indent}{line}\n" for line in ["```python", *CODE.splitlines(), "```"])
    assert program_of(f"1. Write this:\n\n{inside}\n2. Run it.\n") == CODE


def test_a_line_that_is_indented_less_than_its_fence_keeps_its_text() -> None:
    assert program_of("- see\n   ```python\n   if x:\n y\n   ```") == "if x:\ny\n"


@pytest.mark.parametrize(
    "language", ["python", "Python3", "py", "python3.11", "{python}", "python title=a.py", "pypy3"]
)
def test_blocks_in_other_languages_are_not_the_program(language: str) -> None:
    others = "```text\n5\n```\nor\n```json\n[1]\n```\nor\n```\n5\n```\nor\n```cpp\nint main() {}\n```"
    assert program_of(f"```bash\npip install x\n```\n```{language}\n{CODE}```\n{others}") == CODE


def test_of_unnamed_blocks_the_last_that_reads_as_python_is_the_program() -> None:
    output = "```\n5\n```\n```\n[1, 2]\n```\n```\nYES\n```\n```\n3 4\n```"
    assert program_of(f"```\nx = 0\n```\n```\n{CODE}```\nIt prints\n{output}") == CODE
    assert program_of(f"```solution\n{CODE}```\nIt prints\n{output}") == CODE
    assert program_of("```\nfirst words\n```\n```\nlast words\n```") == "last words\n"


def test_a_program_s_docstring_is_not_taken_for_a_block() -> None:
    plain = 'def f(x):\n    """Example:\n\n    ```python\n    f(1)\n    ```\n    """\n    return x\n'
    assert program_of(plain) == plain
    assert program_of(f"```python\n{plain}```") == plain
    assert program_of(f"```\n{plain}```\n") == plain
    for comment in ("# solution: ```python\n", "# ```\n", '"""\n```\nf(1)\n```\n"""\n'):
        assert program_of(f"{comment}{plain}") == f"{comment}{plain}"


def test_reading_takes_time_in_proportion_to_the_text() -> None:
    """Seconds, not hours: lines without an end, fences without an end, brackets without an end."""
    for text in ("a" * 1_000_000, "` " * 300_000, "```" * 200_000, "```\n" * 20_000, "~" * 500_000 + "`"):
        program_of(text)
    assert program_of("```\n" + "(" * 100_000) == "(" * 100_000
