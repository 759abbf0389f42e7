// RUN: quern-opt %s --tq-check-stage=stage=simulate --split-input-file \
// RUN:   --verify-diagnostics
// RUN: not quern-opt %s --tq-check-stage=stage=final 2>&1 \
// RUN:   | FileCheck %s --check-prefix=STAGE
// STAGE: tq-check-stage: unknown stage 'final', expected import, simulate or integer

func.func @observe(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  // expected-error @below {{is not legal at stage 'simulate'}}
  %0 = tq.observe %x {key = "g", layer = 0 : i64, site = "L0.g"}
      : tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// -----

func.func @no_site(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  // expected-error @below {{expects a 'site' at stage 'simulate'}}
  %q = tq.quantize %x
      : tensor<?x2xf32> -> tensor<?x2x!quant.uniform<u8:f32, 0.5:3>>
  %r = tq.dequantize %q
      : tensor<?x2x!quant.uniform<u8:f32, 0.5:3>> -> tensor<?x2xf32>
  return %r : tensor<?x2xf32>
}

// -----

func.func @twice(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  // expected-note @below {{which is here}}
  %q = tq.quantize %x {site = "L0.x"}
      : tensor<?x2xf32> -> tensor<?x2x!quant.uniform<u8:f32, 0.5:3>>
  %r = tq.dequantize %q
      : tensor<?x2x!quant.uniform<u8:f32, 0.5:3>> -> tensor<?x2xf32>
  // expected-error @below {{site 'L0.x' already has a quantizer}}
  %s = tq.quantize %r {site = "L0.x"}
      : tensor<?x2xf32> -> tensor<?x2x!quant.uniform<u8:f32, 0.5:3>>
  %t = tq.dequantize %s
      : tensor<?x2x!quant.uniform<u8:f32, 0.5:3>> -> tensor<?x2xf32>
  return %t : tensor<?x2xf32>
}

// -----

func.func @codes_read(%x: tensor<?x2xf32>)
    -> tensor<?x2x!quant.uniform<u8:f32, 0.5:3>> {
  // expected-error @below {{expects only tq.dequantize to read its codes at stage 'simulate', got func.return}}
  %q = tq.quantize %x {site = "L0.x"}
      : tensor<?x2xf32> -> tensor<?x2x!quant.uniform<u8:f32, 0.5:3>>
  return %q : tensor<?x2x!quant.uniform<u8:f32, 0.5:3>>
}
