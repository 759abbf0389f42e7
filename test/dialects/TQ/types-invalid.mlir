// RUN: quern-opt %s --split-input-file --verify-diagnostics

// expected-error @+1 {{expects groups below 2, got 2 for channel 1}}
func.func private @f(tensor<?x2x!tq.group<u8, axis = 1, map = [0, 2], params = [0.5, 0.25]>>)

// -----

// expected-error @+1 {{expects every group to have a channel, group 1 has none}}
func.func private @f(tensor<?x2x!tq.group<u8, axis = 1, map = [0, 0], params = [0.5, 0.25]>>)

// -----

// expected-error @+1 {{expects a positive finite scale, got 0.000000e+00}}
func.func private @f(tensor<?x2x!tq.group<u8, axis = 1, map = [0, 0], params = [0.0]>>)

// -----

// expected-error @+1 {{expects a storage of 1 to 16 bits, got 17}}
func.func private @f(tensor<?x2x!tq.group<u17, axis = 1, map = [0, 0], params = [0.5]>>)

// -----

// expected-error @+1 {{expected a storage such as u8 or i4, got 'f8'}}
func.func private @f(tensor<?x2x!tq.group<f8, axis = 1, map = [0, 0], params = [0.5]>>)

// -----

// expected-error @+1 {{expected a run of 1 to 1048576 channels, got 0}}
func.func private @f(tensor<?x2x!tq.group<u8, axis = 1, map = [0 x 0], params = [0.5]>>)

// -----

// expected-error @+1 {{expects an axis of 0 or more, got -1}}
func.func private @f(tensor<?x2x!tq.group<u8, axis = -1, map = [0, 0], params = [0.5]>>)

// -----

// expected-error @+1 {{expects at least one channel and one group, got 0 and 1}}
func.func private @f(tensor<?x2x!tq.group<u8, axis = 1, map = [], params = [0.5]>>)

// -----

// expected-error @+1 {{expects the code of zero to be 15 or 16, got 3}}
func.func private @f(tensor<?x!tq.log<u4, two, scale = 1.0, zero = 3>>)

// -----

// expected-error @+1 {{expects logarithmic codes of 1 to 8 bits, got 9}}
func.func private @f(tensor<?x!tq.log<u9, two, scale = 1.0, zero = 512>>)

// -----

// expected-error @+1 {{expected two or sqrt2, got 'ten'}}
func.func private @f(tensor<?x!tq.log<u4, ten, scale = 1.0, zero = 16>>)

// -----

// expected-error @+1 {{expected unsigned logarithmic codes, got i4}}
func.func private @f(tensor<?x!tq.log<i4, two, scale = 1.0, zero = 16>>)

// -----

// expected-error @+1 {{expects one scale, or an axis, got 2 scales}}
func.func private @f(tensor<2x!tq.binary<sign, scales = [0.1, 0.2]>>)

// -----

// expected-error @+1 {{expected sign or bit, got 'byte'}}
func.func private @f(tensor<2x!tq.binary<byte, scales = [0.1]>>)

// -----

// expected-error @+1 {{expected an axis of 0 or more, got -2}}
func.func private @f(tensor<2x!tq.binary<sign, axis = -2, scales = [0.1]>>)

// -----

// expected-error @+1 {{expects a positive finite scale, got -1.000000e+00}}
func.func private @f(tensor<2x!tq.offset<u8, scale = -1.0, offset = 0.0>>)

// -----

// expected-error @+1 {{expects a storage of 1 to 16 bits, got 32}}
func.func private @f(tensor<2x!tq.dynamic<i32, tensor>>)

// -----

// expected-error @+1 {{expected tensor, token or sequence, got 'batch'}}
func.func private @f(tensor<2x!tq.dynamic<u8, batch>>)

// -----

// expected-error @+1 {{expects limits of each of 2 groups, got 1}}
func.func private @f(tensor<?x2x!tq.group<u8, axis = 1, map = [0, 1], params = [0.5:128, 0.25:128], limits = [0:255]>>)

// -----

// expected-error @+1 {{expects limits within 0:15, the lower one first, got 8:16}}
func.func private @f(tensor<?x2x!tq.group<u4, axis = 1, map = [0, 0], params = [0.5:8], limits = [8:16]>>)

// -----

// expected-error @+1 {{expects limits within 0:15, the lower one first, got 9:7}}
func.func private @f(tensor<?x2x!tq.group<u4, axis = 1, map = [0, 0], params = [0.5:8], limits = [9:7]>>)
