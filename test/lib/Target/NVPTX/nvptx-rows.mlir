// RUN: quern-opt %s --tq-nvptx-add-norm --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=NORM --implicit-check-not=__nv_ --implicit-check-not=".extern .func" --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-embed="d=384 word-scales=true result=f32" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=EMBED --implicit-check-not=__nv_ --implicit-check-not=".extern .func" --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-elements="function=pool_mean" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=POOL --implicit-check-not=__nv_ --implicit-check-not=".extern .func" --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-add-norm="groups=true ordered=true" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=GROUPED --implicit-check-not=__nv_ --implicit-check-not=".extern .func" --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-add-norm="fixed=true" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=FIXED --implicit-check-not=.f32 --implicit-check-not=.f64
// RUN: quern-opt %s --tq-nvptx-embed="fixed=true word-bits=2" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=TABLES --implicit-check-not=.f32 --implicit-check-not=.f64
// RUN: quern-opt %s --tq-nvptx-embed="fixed=true factors=true" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=FACTORS --implicit-check-not=.f32 --implicit-check-not=.f64
// RUN: quern-opt %s --tq-nvptx-tokens --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=TOKENS --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-tokens="function=shift_gelu" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=SHIFT --implicit-check-not=.f32
// RUN: quern-opt %s --tq-nvptx-add --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=ADD --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-add="fixed=true b=u16" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=WHOLE --implicit-check-not=.f32 --implicit-check-not=.f64
// RUN: quern-opt %s --tq-nvptx-lookup="bits=8" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=LOOKUP --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-elements="function=pool_mean offset=true" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=OFFSET --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-elements="function=limit out=u8" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=LIMIT --implicit-check-not=.f32
// RUN: quern-opt %s --tq-nvptx-add-norm="result=u16 second=planes" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=PLANES --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-add-norm="groups=true second=u8" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=SECOND --implicit-check-not=fma --implicit-check-not=approx

module {}

// Four codes of two bytes, then their high and their low bytes.
// PLANES: .entry add_norm_768_u8_u8_u8_u16_planes(
// PLANES: cvt.rni.s32.f32
// PLANES: st.global.v2.b32
// PLANES: st.global.b32
// PLANES: st.global.b32

// The codes, and what another scale makes of them.
// SECOND: .entry add_norm_768_u8_u8_u8_u8_and_u8_groups(
// SECOND: sqrt.rn.f64
// SECOND: cvt.rni.s32.f32
// SECOND: st.global.b32
// SECOND: cvt.rni.s32.f32
// SECOND: st.global.b32

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

// Sums of codes are integers; one division for a row.
// POOL: .entry pool_mean_u8_f32(
// POOL: div.rn.f32
// POOL-DAG: add.s32
// POOL-DAG: cvt.rn.f32.s32
// POOL-DAG: mul.rn.f32
// POOL-DAG: st.global.v4.b32

// Shares of the groups are added in f64, one after the other; then channels are
// gathered, byte by byte.
// GROUPED: .entry add_norm_768_u8_u8_u8_u8_groups_ordered(
// GROUPED: shfl.sync.bfly.b32
// GROUPED: mul.rn.f64
// GROUPED: add.rn.f64
// GROUPED: sqrt.rn.f64
// GROUPED: ld.global.nc.b8
// GROUPED: st.global.b32

// Sums of squares, a root bit by bit, one division for the row.
// FIXED: .entry add_norm_768_u8_u8_u8_u8_fixed(
// FIXED: mul.wide.s32
// FIXED: shfl.sync.bfly.b32
// FIXED: div.u
// FIXED: shr.s64
// FIXED: st.global.b32

// TABLES: .entry embed_768_w2_u8_u8_u8_fixed(
// TABLES: mul.wide.s32
// TABLES: shr.s64
// TABLES: shfl.sync.bfly.b32
// TABLES: st.global.b32

// Factors of four channels, by which both terms of a second sum are multiplied.
// FACTORS: .entry embed_768_u8_u8_u8_fixed_factors(
// FACTORS: ld.global.nc.v4.b32 {[[A:%r[0-9]+]], [[B:%r[0-9]+]],
// FACTORS-DAG: mul.wide.s32 {{.*}}
// FACTORS-DAG: mul.lo.s32 {{%r[0-9]+, .*}}[[A]]
// FACTORS-DAG: mul.lo.s32 {{%r[0-9]+, .*}}[[A]]
// FACTORS: shfl.sync.bfly.b32
// FACTORS: st.global.b32

// The least and the largest of a row, then codes of its range.
// TOKENS: .entry quantize_tokens_u8(
// TOKENS: min.f32
// TOKENS: max.f32
// TOKENS: shfl.sync.bfly.b32
// TOKENS: div.rn.f32
// TOKENS: cvt.rni.s32.f32
// TOKENS: st.global.b8

// SHIFT: .entry shift_gelu(
// SHIFT: max.{{[su]}}32
// SHIFT: shfl.sync.bfly.b32
// SHIFT: st.global.b8

// ADD: .entry add_u8_u8_u8(
// ADD: mul.rn.f32
// ADD: add.rn.f32
// ADD: cvt.rni.s32.f32
// ADD: st.global.b32

// WHOLE: .entry add_u8_u16_u8_fixed(
// WHOLE: mul.wide.s32
// WHOLE: shr.s64
// WHOLE: st.global.b32

// LOOKUP: .entry lookup_w8(
// LOOKUP: cvt.rn.f32.s32
// LOOKUP: mul.rn.f32
// LOOKUP: st.global.v4.b32

// The offset is rounded on its own.
// OFFSET: .entry pool_mean_u8_f32_offset(
// OFFSET: mul.rn.f32
// OFFSET: add.rn.f32

// LIMIT: .entry limit_u8_u8(
// LIMIT-COUNT-3: ld.global{{(.nc)?}}.b32
// LIMIT: min.{{[su]}}32
// LIMIT-NEXT: max.{{[su]}}32
// LIMIT: st.global.b32
