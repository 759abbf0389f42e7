// Every way between values and codes, and every pooling: nvptx-rows.mlir has
// the other kernels with a warp for each row.
// RUN: quern-opt %s --tq-nvptx-elements="function=quantize in=f32 out=u8" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=QUANTIZE --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-elements --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=DEQUANTIZE --implicit-check-not=fma
// RUN: quern-opt %s --tq-nvptx-elements="function=requantize in=u16 out=u8" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=REQUANTIZE --implicit-check-not=fma
// RUN: quern-opt %s --tq-nvptx-elements="function=pool_first out=u8" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=FIRST --implicit-check-not=rn.f32
// RUN: quern-opt %s --tq-nvptx-elements="function=pool_mean in=f32" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=MEAN --implicit-check-not=fma --implicit-check-not=mul.rn
// RUN: quern-opt %s --tq-nvptx-elements="function=normalize in=f32" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=NORMALIZE --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-elements="function=planes in=u16 out=u8" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=PLANES --implicit-check-not=.f32
// RUN: quern-opt %s --tq-nvptx-tokens="function=dequantize" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=TOKENS --implicit-check-not=fma

module {}

// Four neighbours at a time: they are held before they are rounded.
// QUANTIZE: .entry quantize_f32_u8(
// QUANTIZE: ld.global.nc.v4.b32
// QUANTIZE: mul.rn.f32
// QUANTIZE-NEXT: max.f32
// QUANTIZE-NEXT: min.f32
// QUANTIZE-NEXT: cvt.rni.s32.f32
// QUANTIZE-NEXT: add.s32
// QUANTIZE: st.global.b32

// DEQUANTIZE: .entry dequantize_u8_f32(
// DEQUANTIZE: sub.s32
// DEQUANTIZE-NEXT: cvt.rn.f32.s32
// DEQUANTIZE-NEXT: mul.rn.f32
// DEQUANTIZE: st.global.v4.b32

// REQUANTIZE: .entry requantize_u16_u8(
// REQUANTIZE: ld.global.nc.v2.b32
// REQUANTIZE: mul.rn.f32
// REQUANTIZE-NEXT: add.rn.f32
// REQUANTIZE-NEXT: max.f32
// REQUANTIZE-NEXT: min.f32
// REQUANTIZE-NEXT: cvt.rni.s32.f32
// REQUANTIZE: st.global.b32

// Codes are copied, or those of a sequence without tokens are zero points.
// FIRST: .entry pool_first_u8_u8(
// FIRST: ld.global.nc.b32
// FIRST: st.global.b32
// FIRST: cvt.rni.s32.f32
// FIRST: st.global.b32

// MEAN: .entry pool_mean_f32_f32(
// MEAN-DAG: add.rn.f32
// MEAN-DAG: div.rn.f32

// NORMALIZE: .entry normalize_f32_f32(
// NORMALIZE: mul.rn.f32
// NORMALIZE: add.rn.f32
// NORMALIZE-COUNT-4: shfl.sync.bfly.b32
// NORMALIZE: sqrt.rn.f64
// NORMALIZE: cvt.rn.f32.f64
// NORMALIZE: div.rn.f32

// High bytes go to one row, low bytes to the next.
// PLANES: .entry planes_u16_u8(
// PLANES: ld.global.nc.v2.b32
// PLANES: st.global.b32
// PLANES: st.global.b32

// Scale and zero point lie behind the codes of their row.
// TOKENS: .entry dequantize_tokens(
// TOKENS: ld.global.nc.v2.b32
// TOKENS: ld.global.nc.b8
// TOKENS: sub.s32
// TOKENS: cvt.rn.f32.s32
// TOKENS: mul.rn.f32
