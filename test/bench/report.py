#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""report.py < LINES

Makes tables of the lines "RESULT KEY=VALUE ..." of bench-grants, and says
whether the aims are met. All ratios are within one run.
"""

import sys

from results import Verdict, read, select, table

OPS_OF_A_FLUSH = 32     # Xen flushes TLBs after so many unmaps of one call
AIM_GNTDEV = 5.0        # times cheaper than gntdev, at every size
AIM_BARE = 1.5          # times the bare hypercalls, at most,
AIM_BARE_FROM = 16      # from so many pages up
AIM_FLAT = 1.1          # cost with most entries to the cost with fewest


def flush_rounds(pages):
    return 2 * -(-pages // OPS_OF_A_FLUSH)


def batches(results, verdict):
    found = select(results, what="batch")
    for module, grants in dict.fromkeys((r["module"], r["grants"]) for r in found):
        mine = select(results, module=module, grants=grants)
        ways = {}
        for r in select(mine, what="batch"):
            ways[int(r["pages"]), r["way"]] = float(r["ns"]) / 1000
        bare = {int(r["pages"]): r for r in select(mine, what="bare")}
        calls = {int(r["pages"]): r["count"]
                 for r in select(results, module=module, what="hypercalls")}
        rows, copy_rows, part_rows = [], [], []
        for pages, b in bare.items():
            limit = float(b["ns"]) / 1000
            gntdev, two, one = (ways[pages, w] for w in ("gntdev", "xentap", "xentap_steady"))
            rows.append([str(pages), gntdev, two, one, limit, gntdev / two, gntdev / one,
                         two / limit, one / limit, calls[pages], str(flush_rounds(pages))])
            copy_rows.append([str(pages), ways[pages, "gntdev_copy"], ways[pages, "xentap_copy"],
                              float(b["copy"]) / 1000, ways[pages, "xentap_copy"] / one])
            part_rows.append([str(pages)] + [float(b[part]) / pages for part in (
                "map_kernel", "map_user", "unmap_user", "unmap_kernel", "refs", "walk")])
            if module == "this":
                where = f"{pages} pages, {grants} grants"
                verdict.add(gntdev / two >= AIM_GNTDEV,
                            f"{where}: {gntdev / two:.1f} times cheaper than gntdev "
                            f"(aim {AIM_GNTDEV:g})")
                if pages >= AIM_BARE_FROM:
                    verdict.add(two / limit <= AIM_BARE,
                                f"{where}: {two / limit:.2f} times the bare hypercalls "
                                f"(aim {AIM_BARE:g})")
        name = f"{grants} grants" + ("" if module == "this" else f", module {module}")
        table(f"Map and unmap, {name}; us for a batch",
              ["pages", "gntdev", "xentap", "one call", "bare", "gntdev/xentap",
               "gntdev/one", "xentap/bare", "one/bare", "hypercalls", "flush rounds"], rows)
        table(f"Copy, {name}; us for a batch",
              ["pages", "gntdev", "xentap", "bare", "copy/map one call"], copy_rows)
        table(f"Parts of the bare batch, {name}; ns for a page",
              ["pages", "map kernel", "map user", "unmap user", "unmap kernel",
               "map_refs+unmap_refs", "walk of entries"], part_rows)


def flat(verdict, what, values):
    ratio = values[-1] / values[0]
    verdict.add(ratio <= AIM_FLAT, f"{what}: {ratio:.2f} times the cost of the smallest size")


def live(results, verdict):
    found = select(results, what="live")
    if not found:
        return
    pages = int(found[0]["pages"])
    table(f"Map and unmap of {pages} pages beside live ones; ns for a page",
          ["live", "two calls", "one call"],
          [[r["live"]] + [float(r[k]) / pages for k in ("two_calls", "one_call")] for r in found])
    flat(verdict, "map and unmap beside live grants", [float(r["two_calls"]) for r in found])
    found = select(results, what="lookup")
    keys = [k for k in found[0] if k.startswith(("addr_", "mfn_"))]
    table("Look-ups in the module; ns for each", ["live"] + keys,
          [[r["live"]] + [float(r[k]) for k in keys] for r in found])
    for key in keys:
        flat(verdict, f"look-up {key}", [float(r[key]) for r in found])


def tables(results):
    found = select(results, what="table")
    for mfns in dict.fromkeys(r["mfns"] for r in found):
        table(f"Tables, {mfns} frames; ns, bytes for an entry, nodes read",
              ["entries", "table", "look-up", "remove+insert", "bytes", "nodes"],
              [[r["entries"], r["table"], float(r["find"]) - float(r["loop"]),
                float(r["change"]) - float(r["loop"]), float(r["bytes"]),
                float(r["steps"]) or "-"] for r in select(found, mfns=mfns)])


def main():
    results = read(sys.stdin)
    if not results:
        sys.exit("report.py: there are no results")
    verdict = Verdict()
    batches(results, verdict)
    live(results, verdict)
    tables(results)
    verdict.show()


main()
