// RUN: quern-opt %s --tq-nvptx-gemm | FileCheck %s --check-prefix=IR
// RUN: quern-opt %s --tq-nvptx-gemm --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --implicit-check-not=__nv_ --implicit-check-not=".extern .func" --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-gemm="activation=gelu zeros=true result=f32 stages=3" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=GELU --implicit-check-not=__nv_ --implicit-check-not=".extern .func" --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-gemm="groups=true" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=GROUPS --implicit-check-not=__nv_ --implicit-check-not=".extern .func" --implicit-check-not=fma
// RUN: quern-opt %s --tq-nvptx-gemm="fixed=true activation=gelu" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=FIXED --implicit-check-not=.f32 --implicit-check-not=.f64
// RUN: quern-opt %s --tq-nvptx-gemm="tokens=true" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=TOKENS --implicit-check-not=__nv_ --implicit-check-not=fma --implicit-check-not=approx

// The empty module gets a kernel.// RUN: quern-opt %s --tq-nvptx-gemm="wide=true result=u16" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx | FileCheck %s --check-prefix=WIDE --implicit-check-not=fma

module {}

// IR: llvm.mlir.global external @quern_shared() {addr_space = 3 : i32, alignment = 1024 : i64}
// IR: llvm.func @gemm_u8_64x64_32x32_s4_u8
// IR-SAME: nvvm.kernel
// IR-SAME: nvvm.reqntid = array<i32: 128, 1, 1>
// IR: scf.for
// IR: nvvm.mma.sync

// CHECK: .version 7.0
// CHECK: .target sm_80
// CHECK: .extern .shared .align 1024 .b8 quern_shared[];
// CHECK: .visible .entry gemm_u8_64x64_32x32_s4_u8(
// CHECK: .reqntid 128, 1, 1

// Three stages are on their way before the loop; in it the next one starts
// once all threads are done with the stage that it takes.
// CHECK-COUNT-4: cp.async.cg.shared.global [{{.*}}], [{{.*}}], 16, %r
// CHECK-COUNT-3: cp.async.commit_group;
// CHECK: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// CHECK-COUNT-16: mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32
// CHECK: cp.async.wait_group 2;
// CHECK-NEXT: bar.sync 0;
// CHECK-COUNT-4: cp.async.cg.shared.global [{{.*}}], [{{.*}}], 16, %r

// One product, one sum, each rounded; clamp, then the nearest even integer.
// CHECK: ld.global.nc.v4.b32
// CHECK: cvt.rn.f32.s32
// CHECK: mul.rn.f32
// CHECK: add.rn.f32
// CHECK: max.f32
// CHECK: min.f32
// CHECK: cvt.rni.s32.f32
// CHECK: st.global.v2.b32

// GELU: quern_gelu_table
// GELU: .entry gemm_u8_64x64_32x32_s3_zeros_gelu_f32(
// Sixteen of the tile, and two for each half of its rows.
// GELU-COUNT-20: mma.sync
// GELU-NOT: mma.sync
// GELU: cp.async.wait_group 1;
// GELU: ld.shared.b32
// GELU: st.global.v4.b32

// Groups are scaled into f32 sums, which the epilogue does not scale again. LLVM
// puts the loop over steps behind the end of a group.
// GROUPS: .entry gemm_u8_64x64_32x32_s4_groups_u8(
// GROUPS: cvt.rn.f32.s32
// GROUPS: mul.rn.f32
// GROUPS: add.rn.f32
// GROUPS: mma.sync
// GROUPS-NOT: mul.rn.f32
// GROUPS: cvt.rni.s32.f32

// Integers all the way, with coefficients of their own.
// FIXED: quern_gelu_table_fixed
// FIXED: .entry gemm_u8_64x64_32x32_s4_fixed_gelu_u8(
// FIXED: mma.sync
// FIXED: mul.wide.s32
// FIXED: shr.s64
// FIXED: ld.shared.b32
// FIXED: st.global.v2.b32

// Scale and zero point of the row come with it.
// TOKENS: .entry gemm_u8_64x64_32x32_s4_tokens_u8(
// TOKENS: mma.sync
// TOKENS: cvt.rn.f32.s32
// TOKENS: mul.rn.f32
// TOKENS: cvt.rni.s32.f32

// High bytes, then low bytes; both sums meet in 64 bits.
// WIDE: .entry gemm_u16_64x64_32x32_s4_u16(
// WIDE: cp.async.cg.shared.global
// WIDE: mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32
// WIDE: bar.sync
// WIDE: mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32
// WIDE: cvt.rn.f32.s64
// WIDE: mul.rn.f32
// WIDE: cvt.rni.s32.f32
