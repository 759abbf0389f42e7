// RUN: quern-opt %s --tq-nvptx-add-norm --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=NORM --implicit-check-not=__nv_ --implicit-check-not=".extern .func" --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-embed="d=384 word-scales=true result=f32" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=EMBED --implicit-check-not=__nv_ --implicit-check-not=".extern .func" --implicit-check-not=fma --implicit-check-not=approx

module {}

// NORM: .entry add_norm_768_u8_u8_u8_u8(
// NORM: .reqntid 128, 1, 1
// Codes of both operands, four at a time, and the codes of their sum.
// NORM: ld.global.nc.b32
// NORM: mul.rn.f32
// NORM: add.rn.f32
// NORM: cvt.rni.s32.f32
// Sums over the row are integers; two roundings to f32 end the f64 steps.
// NORM: shfl.sync.bfly.b32
// NORM-DAG: sqrt.rn.f64
// NORM-DAG: div.rn.f64
// NORM: cvt.rn.f32.f64
// NORM: cvt.rni.s32.f32
// NORM: st.global.b32

// EMBED: .entry embed_384_word_u8_u8_f32(
// EMBED: cvt.rn.f32.s32
// EMBED: shfl.sync.bfly.b32
// EMBED: sqrt.rn.f64
// EMBED: st.global.v4.b32
