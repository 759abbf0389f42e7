// RUN: not quern-opt %s --tq-nvptx-attention="head-dim=136" 2>&1 | FileCheck %s --check-prefix=HEAD
// RUN: not quern-opt %s --tq-nvptx-attention="result=u4" 2>&1 | FileCheck %s --check-prefix=STORAGE
// RUN: not quern-opt %s --tq-nvptx-attention="per-head=true log-bits=4" 2>&1 | FileCheck %s --check-prefix=OWN
// RUN: not quern-opt %s --tq-nvptx-attention="keys-at-once=40" 2>&1 | FileCheck %s --check-prefix=PARTS

module {}

// HEAD: attention: heads of 136 channels, expected 1 to 128
// STORAGE: result: found 'u4', expected u8, u16 or f32
// OWN: attention: constants of heads with logarithmic codes or without floats, expected neither
// PARTS: attention: 40 keys at once, expected multiples of 32 up to 512, or 0 for all
