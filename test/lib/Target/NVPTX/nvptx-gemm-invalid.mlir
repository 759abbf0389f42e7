// RUN: quern-opt %s --verify-diagnostics --tq-nvptx-gemm="warp-n=16"
// RUN: not quern-opt %s --tq-nvptx-gemm="block-m=48" 2>&1 | FileCheck %s --check-prefix=BLOCK
// RUN: not quern-opt %s --tq-nvptx-gemm="block-m=128 block-n=128 warp-m=128 warp-n=64" 2>&1 | FileCheck %s --check-prefix=REGISTERS
// RUN: not quern-opt %s --tq-nvptx-gemm="block-m=32 block-n=256" 2>&1 | FileCheck %s --check-prefix=COPY
// RUN: not quern-opt %s --tq-nvptx-gemm="stages=1" 2>&1 | FileCheck %s --check-prefix=STAGES
// RUN: not quern-opt %s --tq-nvptx-gemm="stages=16" 2>&1 | FileCheck %s --check-prefix=SHARED
// RUN: not quern-opt %s --tq-nvptx-gemm="activation=selu" 2>&1 | FileCheck %s --check-prefix=ACTIVATION
// RUN: not quern-opt %s --tq-nvptx-gemm="result=s8" 2>&1 | FileCheck %s --check-prefix=RESULT
// RUN: not quern-opt %s --tq-nvptx-gemm="groups=true zeros=true" 2>&1 | FileCheck %s --check-prefix=GROUPS
// RUN: not quern-opt %s --tq-nvptx-gemm="wide=true zeros=true" 2>&1 | FileCheck %s --check-prefix=WIDE
// RUN: not quern-opt %s --tq-nvptx-gemm="wide=true block-m=128 block-n=128 warp-m=64 warp-n=64 stages=2" 2>&1 | FileCheck %s --check-prefix=PLANES
// RUN: not quern-translate %s --mlir-to-ptx --ptx-variant=sm_75 2>&1 | FileCheck %s --check-prefix=VARIANT

// expected-error@+1 {{schedule: a warp makes 32x16, expected a multiple of 16x32}}
module {}

// BLOCK: schedule: a block makes 48x64, expected a multiple of the warp's 32x32
// REGISTERS: schedule: a warp makes 128x64, but only 4096 sums fit its registers
// COPY: schedule: 8 warps copy 64 rows at once, expected a divisor of 32 and of 256
// STAGES: schedule: 1 stages, expected 2 or more
// SHARED: schedule: {{[0-9]+}} bytes of shared memory, expected at most 101376
// ACTIVATION: activation: found 'selu', expected none, gelu, gelu_tanh, relu, tanh or i_gelu
// RESULT: result: found 's8', expected u8, u16 or f32
// VARIANT: PTX variant: found 'sm_75', expected sm_80 or sm_90a
// GROUPS: groups of columns: found weights with zero points, expected none
// WIDE: 16-bit codes: found groups of columns or weights with zero points, expected neither
// PLANES: schedule: a warp makes 64x64, but only 2048 sums of planes of bytes fit its registers
