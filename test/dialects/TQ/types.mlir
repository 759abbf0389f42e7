// RUN: quern-opt %s | quern-opt | FileCheck %s

// CHECK-LABEL: func private @group
// CHECK-SAME: !tq.group<u8, axis = 1, map = [0 x 2, 1, 0], params = [5.000000e-01:3, 2.500000e-01:128]>
// CHECK-SAME: !tq.group<i4, axis = 0, map = [0], params = [1.000000e-01]>
// CHECK-SAME: !tq.group<u8, axis = 1, map = [0, 1], params = [5.000000e-01:128, 2.500000e-01:128], limits = [0:255, 120:135]>
func.func private @group(
  tensor<?x4x!tq.group<u8, axis = 1, map = [0, 0, 1, 0], params = [0.5:3, 0.25:128]>>,
  tensor<1x!tq.group<i4, axis = 0, map = [0 x 1], params = [0.1]>>,
  tensor<?x2x!tq.group<u8, axis = 1, map = [0, 1], params = [0.5:128, 0.25:128],
                       limits = [0:255, 120:135]>>)

// CHECK-LABEL: func private @log
// CHECK-SAME: !tq.log<u4, sqrt2, scale = 1.000000e+00, zero = 16>
// CHECK-SAME: !tq.log<u4, two, scale = 5.000000e-01, zero = 15>
func.func private @log(
  tensor<?x!tq.log<u4, sqrt2, scale = 1.0, zero = 16>>,
  tensor<?x!tq.log<u4, two, scale = 0.5, zero = 15>>)

// CHECK-LABEL: func private @binary
// CHECK-SAME: !tq.binary<sign, scales = [2.000000e-02]>
// CHECK-SAME: !tq.binary<bit, axis = 0, scales = [2.000000e-02, 3.000000e-02]>
func.func private @binary(
  tensor<4x!tq.binary<sign, scales = [0.02]>>,
  tensor<2x4x!tq.binary<bit, axis = 0, scales = [0.02, 0.03]>>)

// CHECK-LABEL: func private @offset
// CHECK-SAME: !tq.offset<u8, scale = 5.000000e-02, offset = -1.700000e-01>
func.func private @offset(
  tensor<?x!tq.offset<u8, scale = 0.05, offset = -0.17>>)

// CHECK-LABEL: func private @dynamic
// CHECK-SAME: !tq.dynamic<u8, token>
// CHECK-SAME: !tq.dynamic<i8, tensor, symmetric>
// CHECK-SAME: !tq.dynamic<u8, sequence>
func.func private @dynamic(
  tensor<?x!tq.dynamic<u8, token>>,
  tensor<?x!tq.dynamic<i8, tensor, symmetric>>,
  tensor<?x!tq.dynamic<u8, sequence>>)

// A scale keeps every digit; upstream's type serves 16, 4 and 2 bits.
// CHECK-LABEL: func private @uniform
// CHECK-SAME: !tq.offset<u8, scale = 0.012345678901234567, offset
// CHECK-SAME: !quant.uniform<u16:f32, 0.012345678901234567:1234>
// CHECK-SAME: !quant.uniform<i4:f32, 1.000000e-01>
// CHECK-SAME: !quant.uniform<i2:f32, 1.000000e-01>
func.func private @uniform(
  tensor<?x!tq.offset<u8, scale = 0.012345678901234567, offset = 1.0>>,
  tensor<?x!quant.uniform<u16:f32, 0.012345678901234567:1234>>,
  tensor<?x!quant.uniform<i4:f32, 0.1>>,
  tensor<?x!quant.uniform<i2:f32, 0.1>>)
