// RUN: not quern-opt %s --tq-nvptx-attention="head-dim=20" 2>&1 | FileCheck %s --check-prefix=HEAD
// RUN: not quern-opt %s --tq-nvptx-attention="result=u4" 2>&1 | FileCheck %s --check-prefix=STORAGE

module {}

// HEAD: attention: heads of 20 channels, expected a multiple of 8, at most 128
// STORAGE: result: found 'u4', expected u8, u16 or f32
