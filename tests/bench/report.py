# SPDX-License-Identifier: MIT
"""What the rounds say: a table on the terminal, bench.json, bench.md and a picture."""
import json
import os
import platform
import shutil
import statistics
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))

# Rows that have a figure to reach: what it is called, work, server, against whom, at least (>=)
# or at most (<=) how much.
RATIOS = [
    ("64 B echo, open loop", "open 64", "udpxdp adaptive", "recvmmsg", ">=", 3.0),
    ("64 B echo, open loop, 100,000 rules", "open 64", "udpxdp rules", "udpxdp adaptive", ">=", 0.9),
    ("64 B echo, open loop, without XDP", "open 64", "udpxdp sockets", "recvmmsg", ">=", 1.0),
    ("64 B echo, open loop in trains, without XDP", "open 64, trains", "udpxdp sockets", "recvmmsg",
     ">=", 1.2),
    ("64 B echo, closed loop, window 256", "closed 64", "udpxdp adaptive", "recvmmsg", ">=", 2.3),
    ("1,024 B echo, open loop", "open 1024", "udpxdp adaptive", "recvmmsg", ">=", 2.5),
    ("1,024 B echo, closed loop, window 256", "closed 1024", "udpxdp adaptive", "recvmmsg",
     None, None),
    ("CPU per echo, 100 kpps in bursts of 64", "cost, bursts of 64", "udpxdp block", "recvmmsg",
     "<=", 0.45),
    ("CPU per echo, 100 kpps in bursts of 16", "cost, bursts of 16", "udpxdp block", "recvmmsg",
     "<=", 0.45),
    ("CPU per echo, 100 kpps evenly spaced", "cost", "udpxdp coalescing", "recvmmsg", "<=", 0.45),
    ("CPU per echo, 100 kpps evenly spaced", "cost", "udpxdp block", "recvmmsg", None, None),
    ("one at a time, p50", "latency", "udpxdp spin", "recvfrom spin", "<=", 0.70),
    ("one at a time, p50", "latency", "udpxdp adaptive", "udpxdp spin", "<=", 1.15),
    ("64 B echo, kernel's frame generator", "kernel 64", "udpxdp driver", "recvmmsg", ">=", 11.0),
    ("64 B echo, kernel's frame generator", "kernel 64", "udpxdp driver", "XDP_TX", ">=", 0.70),
    ("1,024 B echo, kernel's frame generator", "kernel 1024", "udpxdp driver", "recvmmsg",
     ">=", 10.0),
    ("64 B echo, open loop", "open 64", "udpxdp driver", "recvmmsg", ">=", 3.9),
    ("one at a time, p50", "latency", "udpxdp driver", "recvfrom spin", "<=", 0.66),
    ("chat message to 500 members", "many_clients", "udpxdp chat", "sendmmsg relay", ">=", 1.5),
]
# Blue is ours.
COLOURS = {
    "udpxdp driver": "#08306b", "udpxdp adaptive": "#08519c", "udpxdp spin": "#3182bd", "udpxdp block": "#6baed6",
    "udpxdp sockets": "#9ecae1", "udpxdp rules": "#c6dbef",
    "recvmmsg": "#a63603", "recvfrom": "#e6550d", "recvfrom spin": "#fd8d3c", "Python": "#fdbe85",
    "XDP_TX": "#969696",
}
IDLE = ("idle CPU after 1 s without traffic", "idle", "udpxdp adaptive", 0.01)
INSTRUCTIONS_MAX = 250

# How the values of a work are shown: heading, unit, factor, decimals.
WORKS = {
    "open 64": ("64 B open loop", "k/s", 1e-3, 0),
    "open 64, trains": ("the same, in trains", "k/s", 1e-3, 0),
    "open 1024": ("1,024 B open loop", "k/s", 1e-3, 0),
    "kernel 64": ("64 B, kernel's generator", "k/s", 1e-3, 0),
    "kernel 1024": ("1,024 B, kernel's generator", "k/s", 1e-3, 0),
    "closed 64": ("64 B closed loop", "k/s", 1e-3, 0),
    "closed 1024": ("1,024 B closed loop", "k/s", 1e-3, 0),
    "cost": ("CPU per echo, 100 kpps", "us", 1, 2),
    "cost, bursts of 16": ("the same, bursts of 16", "us", 1, 2),
    "cost, bursts of 64": ("the same, bursts of 64", "us", 1, 2),
    "latency": ("one at a time, p50", "us", 1, 1),
    "idle": ("idle CPU", "%", 100, 2),
    "many_clients": ("copies to 500 members", "k/s", 1e-3, 0),
}


def spread(values):
    """Median, lowest, highest and number of what was measured; None when nothing was."""
    valid = [value for value in values if value is not None]
    if not valid:
        return None
    return {"median": statistics.median(valid), "low": min(valid), "high": max(valid),
            "rounds": len(valid)}


def ratios(ours, theirs):
    return [a / b if a is not None and b else None for a, b in zip(ours, theirs)]


def reached(value, sense, target):
    if target is None:
        return None
    return value >= target if sense == ">=" else value <= target


def before_and_after(rounds):
    """Rows like RATIOS, of what was measured with an earlier program, too."""
    return [(WORKS[work][0], work, name.partition(": ")[2], name, None, None)
            for work, servers in rounds.values.items()
            for name in servers if name.startswith("before: ")]


def judge(rounds, instructions):
    """One dict a row: work, ours, theirs, the ratio's spread, target, reached."""
    rows = []
    for title, work, ours, theirs, sense, target in RATIOS + before_and_after(rounds):
        servers = rounds.values.get(work, {})
        found = spread(ratios(servers.get(ours, []), servers.get(theirs, [])))
        if found:
            rows.append({"work": title, "server": ours, "against": theirs, "unit": "ratio",
                         **found, "sense": sense, "target": target,
                         "reached": reached(found["median"], sense, target)})
    title, work, server, target = IDLE
    found = spread(rounds.values.get(work, {}).get(server, []))
    if found:
        rows.append({"work": title, "server": server, "against": "one core", "unit": "ratio",
                     **found, "sense": "<=", "target": target,
                     "reached": found["median"] <= target})
    if instructions is not None:
        rows.append({"work": "user space of an echo", "server": "udpxdp", "against": None,
                     "unit": "instructions", "median": instructions, "low": instructions,
                     "high": instructions, "rounds": 1, "sense": "<=",
                     "target": INSTRUCTIONS_MAX, "reached": instructions <= INSTRUCTIONS_MAX})
    return rows


def machine():
    model = "unknown CPU"
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": platform.release(),
            "driver": "veth", "date": time.strftime("%Y-%m-%d")}


def number(row, value):
    if row["unit"] == "instructions":
        return f"{value:.0f}"
    return f"{value:.1%}" if row["against"] == "one core" else f"{value:.2f}"


def row_cells(row):
    target = "" if row["target"] is None else \
        f"{'at least' if row['sense'] == '>=' else 'at most'} {number(row, row['target'])}"
    verdict = {True: "reached", False: "NOT reached", None: ""}[row["reached"]]
    against = f"{row['server']} / {row['against']}" if row["against"] else row["server"]
    spread_text = "" if row["rounds"] == 1 else \
        f"{number(row, row['low'])} to {number(row, row['high'])}"
    return [row["work"], against, number(row, row["median"]), spread_text, str(row["rounds"]),
            target, verdict]


def value_cells(rounds):
    """A row a server, a column a work: medians with their range."""
    names = list(dict.fromkeys(name for servers in rounds.values.values() for name in servers))
    works = [work for work in WORKS if work in rounds.values]
    head = ["server"] + [f"{WORKS[work][0]}, {WORKS[work][1]}" for work in works]
    lines = []
    for name in names:
        cells = [name]
        for work in works:
            found = spread(rounds.values[work].get(name, []))
            _, _, factor, decimals = WORKS[work]
            cells.append(f"{found['median'] * factor:.{decimals}f}" if found else "")
        lines.append(cells)
    return head, lines


def markdown(head, lines):
    text = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(text + ["| " + " | ".join(cells) + " |" for cells in lines])


def plain(head, lines):
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
                     for line in [head, *lines])


def user_share(rounds):
    """How much of the saturated server's CPU time is its own code, in percent."""
    shares = [piece["user_share"] for piece in rounds.slices
              if piece["work"] == "open 64" and piece["server"].startswith("udpxdp")
              and not piece["rejected"] and piece.get("user_share") is not None]
    return statistics.median(shares) if shares else None


def answered_shares(rounds):
    """How much of what the generator could send was answered in the open loops, in words."""
    said = []
    for work in ("open 64", "open 1024"):
        for server in ("udpxdp adaptive", "recvmmsg"):
            shares = [piece["value"] / piece["offered"] for piece in rounds.slices
                      if piece["work"] == work and piece["server"] == server
                      and not piece["rejected"] and piece["offered"]]
            if shares:
                said.append(f"{statistics.median(shares):.0%} by {server} ({WORKS[work][0]})")
    return said


def remarks(rounds):
    about = machine()
    lines = [f"{about['cpu']}, {about['cpus']} CPUs, Linux {about['kernel']}, veth, "
             f"{about['date']}; {rounds.count} rounds; median, lowest and highest ratio of a round."]
    share = user_share(rounds)
    if share is not None:
        lines.append(f"User space has {share:.1%} of udpxdp's CPU time under full load; the rest "
                     "is the kernel's transmit path.")
    shares = answered_shares(rounds)
    if shares:
        lines.append("Of what the generator could send was answered: " + ", ".join(shares) +
                     ". The receive path of a veth runs on the sender's CPU.")
    wrong = sum(piece.get("wrong", 0) for piece in rounds.slices)
    lost = sum(piece.get("lost", 0) for piece in rounds.slices
               if piece["work"].startswith(("closed", "many_clients")) or piece["work"] == "latency")
    lines.append(f"Wrong answers: {wrong}. Lost in closed loops: {lost}.")
    if rounds.rejections:
        said = ", ".join(f"{count} because {why}" for why, count in rounds.rejections.items())
        lines.append(f"Slices rejected and taken again: {said}.")
    return lines


def multiples(rounds):
    """Rows of the first panel: a heading for each work, a bar for each server measured there."""
    rows = []
    for work in ("open 64", "open 1024", "closed 64", "closed 1024"):
        servers = rounds.values.get(work, {})
        bars = []
        for name in servers:
            found = spread(ratios(servers[name], servers.get("recvmmsg", [])))
            if found:
                bars.append((name, found["median"], f"{found['median']:.2f}x"))
        if bars:
            rows += [(WORKS[work][0], None, "")] + sorted(bars, key=lambda bar: -bar[1])
    return rows


def latencies(rounds):
    """Rows of the second panel: for each server the median over its slices of each percentile."""
    rows = []
    servers = {}
    for piece in rounds.slices:
        if piece["work"] == "latency" and not piece["rejected"]:
            servers.setdefault(piece["server"], []).append(piece["latency_us"])
    for name, found in sorted(servers.items(), key=lambda item: statistics.median(
            latency["p50"] for latency in item[1])):
        rows.append((name, None, ""))
        for key in ("p50", "p99", "p99.9"):
            value = statistics.median(latency[key] for latency in found)
            rows.append((key, value, f"{value:.1f}"))
    return rows


def picture(rounds, path):
    """Two panels of bars by gnuplot: rates as multiples of recvmmsg, and latencies."""
    if not shutil.which("gnuplot"):
        return "no picture: gnuplot is not installed"
    panels = [(title, rows, scale) for title, rows, scale in (
        ("echoes per second, as a multiple of the recvmmsg server", multiples(rounds), "linear"),
        ("one request at a time: microseconds, logarithmic", latencies(rounds), "log")) if rows]
    if not panels:
        return "no picture: nothing to show"
    lines = [len(rows) + 4 for _, rows, _ in panels]
    height = 17 * sum(lines)
    script = [f"set terminal svg size 830,{height} noenhanced font 'sans-serif,13' "
              "background 'white'", f"set output '{path}'", "set multiplot", "unset key",
              "set border 0", "set tics scale 0", "unset xtics", "set lmargin 24",
              "set rmargin 9", "set style fill solid noborder"]
    top = 1.0
    for (title, rows, scale), share in zip(panels, lines):
        size = share / sum(lines)
        top -= size
        script += [f"set size 1,{size:.4f}", f"set origin 0,{top:.4f}", *panel(title, rows, scale)]
    script.append("unset multiplot")
    done = subprocess.run(["gnuplot"], input="\n".join(script), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return f"no picture: gnuplot: {done.stdout.strip()}" if done.returncode else None


def panel(title, rows, scale):
    """Horizontal bars, each with its value; rows without one are headings."""
    values = [value for _, value, _ in rows if value is not None]
    low = 0.5 * min(values) if scale == "log" else 0
    heading, bars, names = "", [], []
    for i, (label, value, text) in enumerate(rows):
        if value is None:
            heading = label
            names.append(f'{i} "{label}"')
            continue
        colour = COLOURS.get(label, COLOURS.get(heading, "#636363"))
        bars.append(f'{i} {low} {value} "{text}" {int(colour[1:], 16)}')
        names.append(f'{i} "{label}"')
    heads = {i for i, (_, value, _) in enumerate(rows) if value is None}
    return [f"set title '{title}' font ',14'", "set logscale x" if scale == "log" else "unset logscale x",
            f"set xrange [{low}:{max(values) * (2 if scale == 'log' else 1.12)}]",
            f"set yrange [{len(rows) - 0.3}:-0.7]",
            "set ytics (" + ", ".join(f"{name.split(' ', 1)[1]} {name.split(' ', 1)[0]}"
                                      for i, name in enumerate(names) if i not in heads) + ")",
            "unset label", *(f'set label "{rows[i][0]}" at graph -0.27,first {i} left font ",13:Bold"'
                             for i in sorted(heads)),
            "$data << EOD", *bars, "EOD",
            "plot $data using 2:1:2:3:($1-0.38):($1+0.38):5 with boxxyerror lc rgb variable, "
            "'' using 3:1:4 with labels left offset 0.6,0"]


def write(options, rounds, instructions, costs):
    rows = judge(rounds, instructions)
    head = ["work", "ratio of", "median", "range", "rounds", "figure to reach", ""]
    cells = [row_cells(row) for row in rows]
    values = value_cells(rounds)
    said = remarks(rounds)
    if costs:
        said.append("The filter, a frame (BPF_PROG_TEST_RUN, less an empty program): " +
                    ", ".join(f"{name} {value} ns" for name, value in costs.items()) + ".")
    print(plain(head, cells), plain(*values), *said, sep="\n\n")
    with open(f"{options.output}/bench.json", "w", encoding="utf-8") as file:
        json.dump({"machine": machine(), "rows": rows, "values": rounds.values,
                   "slices": rounds.slices, "rejections": rounds.rejections,
                   "frame_ns": costs}, file, indent=1)
    folders = [options.output] + ([HERE] if options.publish else [])
    for folder in folders:
        with open(f"{folder}/bench.md", "w", encoding="utf-8") as file:
            print(markdown(head, cells), markdown(*values), *said, sep="\n\n", file=file)
        problem = picture(rounds, f"{folder}/bench.svg")
        print(f"\n{problem or f'{folder}/bench.svg'}")
