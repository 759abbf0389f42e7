// RUN: quern-opt %s --tq-nvptx-attention --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --implicit-check-not=__nv_ --implicit-check-not=".extern .func" --implicit-check-not=fma --implicit-check-not=approx

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
