#!/usr/bin/env python3
"""Fit the coefficient tables of quant_math.h and log_math.h (runtime/include).

Prints the C arrays; each row is one power of u, each column one segment.
Segment i covers |x| * scale in [i - 1/2, i + 1/2]; the polynomial is the
interpolant at Chebyshev nodes, near enough to the minimax one. In segment 0
the constant term is exactly zero, so that f(0) = 0. Needs only Python.
"""
import math
import struct


def f32(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def hex_float(value):
    return float.hex(f32(value)).replace("0000000p", "p") + "f"


def solve(matrix, right):
    n = len(right)
    rows = [list(row) + [r] for row, r in zip(matrix, right)]
    for col in range(n):
        pivot = max(range(col, n), key=lambda r: abs(rows[r][col]))
        rows[col], rows[pivot] = rows[pivot], rows[col]
        for r in range(n):
            if r != col:
                factor = rows[r][col] / rows[col][col]
                rows[r] = [a - factor * b for a, b in zip(rows[r], rows[col])]
    return [rows[i][n] / rows[i][i] for i in range(n)]


def fit(function, scale, degree):
    table = []
    for segment in range(16):
        low, count = (0.0, degree) if segment == 0 else (-0.5, degree + 1)
        nodes = [
            low + (0.5 - low) * (1 - math.cos(math.pi * (i + 0.5) / count)) / 2
            for i in range(count)
        ]
        first = 1 if segment == 0 else 0
        matrix = [[u ** (first + p) for p in range(count)] for u in nodes]
        right = [function((segment + u) / scale) for u in nodes]
        table.append([0.0] * first + solve(matrix, right))
    return table


def fit_log2(degree):
    """P of log2(1 + u) = u * P(u) between the square roots of 1/2 and 2."""
    low, high, count = math.sqrt(0.5) - 1, math.sqrt(2.0) - 1, degree + 1
    nodes = [
        low + (high - low) * (1 - math.cos(math.pi * (i + 0.5) / count)) / 2
        for i in range(count)
    ]
    matrix = [[u**p for p in range(count)] for u in nodes]
    return solve(matrix, [math.log1p(u) / math.log(2.0) / u for u in nodes])


def gelu_tail(t):
    return 0.5 * t * math.erfc(t / math.sqrt(2.0))


def gelu_tanh_tail(t):
    z = math.sqrt(2.0 / math.pi) * (t + 0.044715 * t**3)
    return t / (1.0 + math.exp(2.0 * z))


def show(name, table):
    print(f"static const float {name}[{len(table[0])}][16] = {{")
    for power in range(len(table[0])):
        cells = [hex_float(row[power]) for row in table]
        print("    {" + ", ".join(cells) + "},")
    print("};")


show("qm_gelu_table", fit(gelu_tail, 2.9375, 4))
show("qm_gelu_tanh_table", fit(gelu_tanh_tail, 2.9375, 4))
show("qm_tanh_table", fit(math.tanh, 2.0, 6))
cells = [hex_float(value) for value in fit_log2(8)]
print("static const float qm_log2_table[9] = {" + ", ".join(cells) + "};")
