# SPDX-License-Identifier: GPL-2.0-or-later
"""What the reports share: lines "RESULT KEY=VALUE ...", tables, and aims."""


def read(lines):
    results = []
    for line in lines:
        if line.startswith("RESULT "):
            results.append(dict(word.split("=", 1) for word in line.split()[1:]))
    return results


def select(results, **keys):
    return [r for r in results if all(r.get(k) == v for k, v in keys.items())]


def table(title, head, rows):
    print("\n" + title)
    cells = [head] + [[c if isinstance(c, str) else f"{c:.2f}" for c in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths)).rstrip())


class Verdict:
    def __init__(self):
        self.lines = []

    def add(self, met, text):
        self.lines.append(f"{'met   ' if met else 'MISSED'} {text}")

    def all_met(self):
        return all(line.startswith("met") for line in self.lines)

    def show(self):
        print("\nAims")
        for line in self.lines:
            print(line)
