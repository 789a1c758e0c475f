"""Delta debugging: the shortest program that still shows a difference."""

import time


def shrink(program, fails, deadline_s=60):
    """`fails(program)` plays it. A program of which no operation can be left
    out and no long word be shorter, unless time runs out first."""
    deadline = time.monotonic() + deadline_s
    program = shrink_operations(program, fails, deadline)
    return shorten_words(program, fails, deadline)


def shrink_operations(program, fails, deadline=None):
    """Removes ever smaller parts while it still fails."""
    deadline = deadline or time.monotonic() + 60
    size = max(1, len(program) // 2)
    while True:
        at, removed = 0, False
        while at < len(program):
            shorter = program[:at] + program[at + size:]
            if time.monotonic() > deadline:
                return program
            if fails(shorter):
                program, removed = shorter, True
            else:
                at += size
        if size == 1 and not removed:
            return program
        size = max(1, size // 2)


def shorten_words(program, fails, deadline):
    """Makes long words short where the difference stays."""
    for index, (kind, words) in enumerate(program):
        if kind != "both":
            continue
        for at, word in enumerate(words[1:], 1):
            if len(word) < 40:  # times, too, must not become shorter
                continue
            for size in (1, 44, 45, 255, 256, 512):
                if size >= len(word) or time.monotonic() > deadline:
                    break
                shorter = words[:at] + [word[:size]] + words[at + 1:]
                changed = list(program)
                changed[index] = (kind, shorter)
                if fails(changed):
                    program, words = changed, shorter
                    break
    return program
