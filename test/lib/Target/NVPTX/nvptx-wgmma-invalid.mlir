// RUN: quern-opt %s --verify-diagnostics --tq-nvptx-wgmma="block-m=96"
// RUN: not quern-opt %s --tq-nvptx-wgmma="block-n=48" 2>&1 | FileCheck %s --check-prefix=COLUMNS
// RUN: not quern-opt %s --tq-nvptx-wgmma="block-n=288" 2>&1 | FileCheck %s --check-prefix=COLUMNS
// RUN: not quern-opt %s --tq-nvptx-wgmma="stages=1" 2>&1 | FileCheck %s --check-prefix=STAGES
// RUN: not quern-opt %s --tq-nvptx-wgmma="stages=6" 2>&1 | FileCheck %s --check-prefix=SHARED
// RUN: not quern-opt %s --tq-nvptx-wgmma="activation=selu" 2>&1 | FileCheck %s --check-prefix=ACTIVATION
// RUN: not quern-opt %s --tq-nvptx-wgmma="result=s8" 2>&1 | FileCheck %s --check-prefix=RESULT
// RUN: not quern-opt %s --tq-nvptx-wgmma="fixed=true tokens=true block-n=64" 2>&1 | FileCheck %s --check-prefix=TOKENS
// RUN: not quern-opt %s --tq-nvptx-wgmma="fixed=true" 2>&1 | FileCheck %s --check-prefix=FIXED
// RUN: not quern-opt %s --tq-nvptx-wgmma="groups=true" 2>&1 | FileCheck %s --check-prefix=GROUPS
// RUN: not quern-opt %s --tq-nvptx-wgmma="wide=true" 2>&1 | FileCheck %s --check-prefix=WIDE

// expected-error@+1 {{schedule: a block makes 96 rows, expected 64 or 128}}
module {}

// COLUMNS: schedule: a block makes {{[0-9]+}} columns, expected a multiple of 32, at most 256
// STAGES: schedule: 1 stages, expected 2 or more
// SHARED: schedule: 246368 bytes of shared memory, expected at most 232448
// ACTIVATION: activation: found 'selu', expected none, gelu, gelu_tanh, relu, tanh or i_gelu
// RESULT: result: found 's8', expected u8, u16 or f32
// TOKENS: ranges of tokens: found {{.*}} fixed-point numbers, expected none
// FIXED: schedule: a block makes 192 columns, but only 128 of products without floats fit the registers
// GROUPS: schedule: a block makes 192 columns, but only 96 of groups fit the registers
// WIDE: schedule: a block makes 192 columns, but only 96 of 16-bit codes fit the registers
