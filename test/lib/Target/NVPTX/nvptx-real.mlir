// RUN: quern-opt %s --tq-nvptx-real="activation=gelu" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=LINEAR --implicit-check-not=__nv_ --implicit-check-not=".extern .func" --implicit-check-not=fma --implicit-check-not=approx --implicit-check-not=mma
// RUN: quern-opt %s --tq-nvptx-real="bits=4" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=CODES --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-real="function=attention quantizers=true" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=ATTENTION --implicit-check-not=__nv_ --implicit-check-not=".extern .func" --implicit-check-not=fma --implicit-check-not=approx --implicit-check-not=ex2
// RUN: quern-opt %s --tq-nvptx-real="function=attention first-query=true head-dim=30" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=FIRST --implicit-check-not=fma --implicit-check-not=cvt.rni
// RUN: quern-opt %s --tq-nvptx-real="function=norm" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=NORM --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-real="function=add_norm" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=SUM --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-real="function=embed bits=4" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=EMBED --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-real="function=tanh_f32" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=TANH --implicit-check-not=fma --implicit-check-not=approx
// RUN: not quern-opt %s --tq-nvptx-real="function=sine_f32" 2>&1 | FileCheck %s --check-prefix=FUNCTION
// RUN: not quern-opt %s --tq-nvptx-real="activation=i_gelu" 2>&1 | FileCheck %s --check-prefix=ACTIVATION
// RUN: not quern-opt %s --tq-nvptx-real="function=attention head-dim=0" 2>&1 | FileCheck %s --check-prefix=HEAD

module {}

// Steps of x and of W meet in shared memory; each product and each sum is
// rounded on its own.
// LINEAR: .entry gemm_f32_32x64_w32_gelu(
// LINEAR: .reqntid 128, 1, 1
// LINEAR: ld.global.nc.v4.b32
// LINEAR: st.shared.b32
// LINEAR: bar.sync
// LINEAR: ld.shared.v4.b32
// LINEAR: mul.rn.f32
// LINEAR: add.rn.f32
// LINEAR: st.global.v4.b32

// Codes become numbers on their way into shared memory.
// CODES: .entry gemm_f32_32x64_w4(
// CODES: cvt.rn.f32.s32
// CODES: mul.rn.f32
// CODES: st.shared.v4.b32
// CODES: bar.sync

// The quantizer of scores; exponentials without an instruction for them; one
// division for each probability.
// ATTENTION: .entry attention_f32_64_sp(
// ATTENTION: cvt.rni.s32.f32
// ATTENTION: shfl.sync.bfly.b32
// ATTENTION: bar.sync
// ATTENTION: shl.b32
// ATTENTION: shfl.sync.bfly.b32
// ATTENTION: div.rn.f32
// ATTENTION: bar.sync
// ATTENTION: st.global.b32

// FIRST: .entry attention_f32_first_30(
// FIRST: .reqntid 32, 1, 1

// NORM: .entry norm_f32(
// NORM: shfl.sync.bfly.b32
// NORM: div.rn.f32
// NORM: sqrt.rn.f64
// NORM: cvt.rn.f32.f64
// NORM: st.global.b32

// SUM: .entry add_norm_f32(
// SUM: add.rn.f32
// SUM: sqrt.rn.f64
// SUM: st.global.b32

// EMBED: .entry embed_f32_w4_w32_w32(
// EMBED: cvt.rn.f32.s32
// EMBED: sqrt.rn.f64

// TANH: .entry tanh_f32(
// TANH: ld.shared
// TANH: st.global.v4.b32

// FUNCTION: function: found 'sine_f32', expected gelu_f32, gelu_tanh_f32, relu_f32, tanh_f32 or add_f32
// ACTIVATION: activation: found 'i_gelu', expected it in products without floats
// HEAD: attention in f32: heads of 0 channels, expected 1 to 256
