// RUN: quern-opt %s --tq-nvptx-wgmma | FileCheck %s --check-prefix=IR
// RUN: quern-opt %s --tq-nvptx-wgmma --tq-nvptx-pipeline | quern-translate --mlir-to-ptx --ptx-variant=sm_90a | FileCheck %s --implicit-check-not=__nv_ --implicit-check-not=".extern .func" --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-wgmma="block-m=64 block-n=64 stages=3 activation=gelu result=f32" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx --ptx-variant=sm_90a | FileCheck %s --check-prefix=GELU --implicit-check-not=__nv_ --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-wgmma="block-n=128 fixed=true activation=gelu" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx --ptx-variant=sm_90a | FileCheck %s --check-prefix=FIXED --implicit-check-not=.f32 --implicit-check-not=.f64
// RUN: quern-opt %s --tq-nvptx-wgmma="tokens=true" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx --ptx-variant=sm_90a | FileCheck %s --check-prefix=TOKENS --implicit-check-not=__nv_ --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-wgmma="zeros=true" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx --ptx-variant=sm_90a | FileCheck %s --check-prefix=ZEROS --implicit-check-not=__nv_ --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-wgmma="wide=true block-n=96" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx --ptx-variant=sm_90a | FileCheck %s --check-prefix=WIDE --implicit-check-not=__nv_ --implicit-check-not=fma --implicit-check-not=approx
// RUN: quern-opt %s --tq-nvptx-wgmma="groups=true block-n=96" --tq-nvptx-pipeline | quern-translate --mlir-to-ptx --ptx-variant=sm_90a | FileCheck %s --check-prefix=GROUPS --implicit-check-not=__nv_ --implicit-check-not=fma --implicit-check-not=approx

// The empty module gets a kernel.
module {}

// IR: llvm.mlir.global external @quern_shared() {addr_space = 3 : i32, alignment = 1024 : i64}
// IR: llvm.func @wgmma_u8_128x192_s4_u8(%{{.*}}: !llvm.ptr {llvm.align = 64 : i64, llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant}
// IR-SAME: nvvm.reqntid = array<i32: 288, 1, 1>
// IR: nvvm.mbarrier.init
// IR: nvvm.fence.mbarrier.init
// IR: nvvm.cp.async.bulk.tensor.shared.cluster.global
// IR: nvvm.wgmma.fence.aligned

// CHECK: .version 8.4
// CHECK: .target sm_90a
// CHECK: .extern .shared .align 1024 .b8 quern_shared[];
// CHECK: .visible .entry wgmma_u8_128x192_s4_u8(
// CHECK-NEXT: .param .align 64 .b8 wgmma_u8_128x192_s4_u8_param_0[128],
// CHECK-NEXT: .param .align 64 .b8 wgmma_u8_128x192_s4_u8_param_1[128],
// CHECK: .reqntid 288, 1, 1

// For each of four stages one mbarrier that it is full, which a thread and the
// bytes make, and one that it is empty, which the eight warps say.
// CHECK: mov.b32 [[FULL:%r[0-9]+]], 1;
// CHECK-NEXT: mbarrier.init.shared.b64 [quern_shared+164352], [[FULL]];
// CHECK: mov.b32 [[EMPTY:%r[0-9]+]], 8;
// CHECK-NEXT: mbarrier.init.shared.b64 [quern_shared+164384], [[EMPTY]];
// CHECK-COUNT-6: mbarrier.init.shared.b64
// CHECK: fence.mbarrier_init.release.cluster;
// CHECK: bar.sync 0;

// The last warp fills: two tiles, of (128 + 192) x 128 bytes together.
// CHECK: mbarrier.try_wait.parity.shared.b64
// CHECK: mov.b32 [[BYTES:%r[0-9]+]], 40960;
// CHECK-NEXT: mbarrier.arrive.expect_tx.shared.b64 %{{.*}}, [[BYTES]];
// CHECK-COUNT-2: cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes

// The others multiply. Nothing writes or copies a sum while products have it.
// The descriptor: swizzle of 128 bytes, 1024 bytes to the next eight rows; then
// 32 bytes on, in pieces of 16. A step that is over gives its stage back.
// CHECK: mbarrier.try_wait.parity.shared.b64
// CHECK: wgmma.fence.sync.aligned;
// CHECK: or.b64 %{{.*}}, 4611686293305360384;
// CHECK: wgmma.mma_async.sync.aligned.m64n192k32.s32.u8.s8
// CHECK: {{or|add}}.{{b64|s64}} %{{.*}}, 4611686293305360386;
// CHECK-COUNT-3: wgmma.mma_async.sync.aligned.m64n192k32.s32.u8.s8
// CHECK-NOT: wgmma.mma_async
// CHECK: wgmma.commit_group.sync.aligned;
// CHECK-NEXT: wgmma.wait_group.sync.aligned 1;
// CHECK: @p mbarrier.arrive.shared::cta.b64 _,
// CHECK: bra
// CHECK: wgmma.wait_group.sync.aligned 0;

// One product, one sum, each rounded; clamp, then the nearest even integer.
// CHECK: ld.global.nc.v4.b32
// CHECK: cvt.rn.f32.s32
// CHECK-NEXT: mul.rn.f32
// CHECK-NEXT: add.rn.f32
// CHECK: max.f32
// CHECK: min.f32
// CHECK: cvt.rni.s32.f32
// CHECK: st.global.v2.b32

// GELU: quern_gelu_table
// GELU: .entry wgmma_u8_64x64_s3_gelu_f32(
// GELU: .reqntid 160, 1, 1
// GELU: wgmma.mma_async.sync.aligned.m64n64k32.s32.u8.s8
// GELU: ld.shared.b32
// GELU: st.global.v4.b32

// FIXED: .entry wgmma_u8_128x128_s4_fixed_gelu_u8(
// FIXED: wgmma.mma_async
// FIXED: shr.s64
// FIXED: st.global.v2.b32

// Scale and zero point of the row come with it.
// TOKENS: .entry wgmma_u8_128x192_s4_tokens_u8(
// TOKENS: wgmma.mma_async
// TOKENS: cvt.rn.f32.s32
// TOKENS: cvt.rni.s32.f32

// Ones are written, fenced, and multiplied beside the weights.
// ZEROS: .entry wgmma_u8_128x192_s4_zeros_u8(
// ZEROS: st.shared.v4.b32
// ZEROS: fence.proxy.async.shared::cta;
// ZEROS: bar.sync 0;
// ZEROS: wgmma.mma_async.sync.aligned.m64n192k32.s32.u8.s8
// ZEROS: wgmma.mma_async.sync.aligned.m64n8k32.s32.u8.s8
// ZEROS: wgmma.commit_group.sync.aligned;

// High bytes, then low ones; sums of 64 bits.
// WIDE: .entry wgmma_u16_128x96_s4_u8(
// WIDE-COUNT-4: wgmma.mma_async.sync.aligned.m64n96k32.s32.u8.s8
// WIDE: wgmma.wait_group.sync.aligned 0;
// WIDE-COUNT-4: wgmma.mma_async.sync.aligned.m64n96k32.s32.u8.s8
// WIDE: wgmma.wait_group.sync.aligned 0;
// WIDE: cvt.rn.f32.s64

// Sums of a group are waited for, scaled and added to those before.
// GROUPS: .entry wgmma_u8_128x96_s4_groups_u8(
// GROUPS-DAG: wgmma.mma_async.sync.aligned.m64n96k32.s32.u8.s8
// GROUPS-DAG: wgmma.wait_group.sync.aligned 0;
// GROUPS-DAG: mul.rn.f32
// GROUPS-DAG: add.rn.f32
// GROUPS: cvt.rni.s32.f32
