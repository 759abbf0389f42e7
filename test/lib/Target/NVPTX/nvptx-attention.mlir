// RUN: quern-opt %s --tq-nvptx-attention --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --implicit-check-not=__nv_ --implicit-check-not=".extern .func" --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-attention="log-bits=4 head-dim=128" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=LOG --implicit-check-not=__nv_ --implicit-check-not=".extern .func" --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-attention="fixed=true head-dim=32" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=FIXED --implicit-check-not=.f32 --implicit-check-not=.f64
// RUN: quern-opt %s --tq-nvptx-attention="log-bits=4 root-of-two=true first-query=true" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=ROOT --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-attention="per-head=true" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=OWN --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-attention="head-dim=26" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=ANY --implicit-check-not=cp.async.cg
// RUN: quern-opt %s --tq-nvptx-attention="keys-at-once=256" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=PARTS --implicit-check-not=fma --implicit-check-not=approx

module {}

// CHECK: .entry attention_64_u8(
// CHECK: .reqntid 128, 1, 1
// Keys are copied as they are, values turned over on their way.
// CHECK: cp.async.cg.shared.global
// CHECK: prmt.b32
// CHECK: cp.async.wait_group 0;
// CHECK-NEXT: bar.sync 0;
// Scores of 32 keys: four tiles, two steps of 32 channels.
// CHECK: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// CHECK-COUNT-8: mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32
// Sums of exponentials, one division, then the context of 64 channels.
// CHECK: div.rn.f32
// CHECK-COUNT-8: mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32
// CHECK: cvt.rni.s32.f32
// CHECK: st.global.v2.b32

// Heads of 128 channels have four steps; values come when the keys are used.
// LOG: .entry attention_128_log2x4_u8(
// LOG: cp.async.wait_group 0;
// LOG-COUNT-16: mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32
// LOG: bar.sync 0;
// LOG: prmt.b32
// LOG: bar.sync 0;
// A logarithm of the sum, then weights of planes by shifts; a plane is worth
// 2^-8 of the one before.
// LOG: cvt.rn.f32.u32
// LOG: min.u32
// LOG: shr.u32
// LOG-COUNT-8: mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32
// LOG: mul.rn.f32 {{.*}}, 0f3B800000;
// LOG: add.rn.f32
// LOG: cvt.rni.s32.f32
// LOG: st.global.v2.b32

// Products and shifts of 64 bits, and one division for a row.
// FIXED: .entry attention_32_fixed_u8(
// FIXED: mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32
// FIXED: shr.s64
// FIXED: div.u64
// FIXED: mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32
// FIXED: shr.s64
// FIXED: st.global.v2.b32

// Codes of base sqrt(2): even and odd ones have planes of their own.
// ROOT: .entry attention_first_64_logsqrt2x4_u8(
// ROOT: mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32
// ROOT: mma.sync.aligned.m16n8k32.row.col.s32.u8.{{[us]}}8.s32

// Constants of a head, six numbers behind those of all: its limits, then a
// factor of scores, one of probabilities, one of the context.
// OWN: .entry attention_64_heads_u8(
// OWN: mad.lo.s32 {{%r[0-9]+, %r[0-9]+}}, 24, 256;
// OWN: ld.global.nc.b32 {{%r[0-9]+}}, {{\[}}[[HEAD:%rd[0-9]+]]+8];
// OWN: ld.global.nc.v2.b32 {{.*}}, {{\[}}[[HEAD]]+16];
// OWN: mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32
// OWN: ld.global.nc.b32 [[SCORE:%r[0-9]+]], {{\[}}[[HEAD]]];
// OWN: mul.rn.f32 {{.*}}[[SCORE]]
// OWN: ld.global.nc.b32 [[PROB:%r[0-9]+]], {{\[}}[[HEAD]]+4];
// OWN: div.rn.f32 {{%r[0-9]+}}, [[PROB]], {{%r[0-9]+}};
// OWN: ld.global.nc.b32 [[CONTEXT:%r[0-9]+]], {{\[}}[[HEAD]]+12];
// OWN: mul.rn.f32 {{.*}}[[CONTEXT]]

// Rows that begin at any byte: two aligned words make one, and bytes are stored
// one by one.
// ANY: .entry attention_26_u8(
// ANY: ld.global.nc.b32
// ANY: ld.global.nc.b32
// ANY: shr.u32
// ANY: mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32
// ANY-COUNT-8: st.global.b8

// Keys that do not fit at once are copied and scored three times: for the
// largest score, the sum of exponentials, and the context, with values.
// PARTS: .entry attention_64_by256_u8(
// PARTS: cp.async.cg.shared.global
// PARTS-COUNT-8: mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32
// PARTS: cp.async.cg.shared.global
// PARTS-COUNT-8: mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32
// PARTS: div.rn.f32
// PARTS: cp.async.cg.shared.global
// PARTS-COUNT-16: mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32
// PARTS: st.global.v2.b32
