// RUN: quern-opt %s --tq-expand-math | FileCheck %s

// CHECK-LABEL: func.func @requant
// CHECK-SAME: %[[ACC:.+]]: vector<16xi32>, %[[M:.+]]: vector<16xf32>, %[[O:.+]]: vector<16xf32>
func.func @requant(%acc: vector<16xi32>, %m: vector<16xf32>,
                   %o: vector<16xf32>) -> vector<16xi32> {
  // CHECK: %[[F:.+]] = arith.sitofp %[[ACC]]
  // CHECK: %[[P:.+]] = arith.mulf %[[F]], %[[M]] : vector<16xf32>
  // CHECK: %[[S:.+]] = arith.addf %[[P]], %[[O]] : vector<16xf32>
  // CHECK: %[[C:.+]] = tk.round %[[S]] {hi = 2.550000e+02 : f32, lo = 0.000000e+00 : f32}
  // CHECK: return %[[C]]
  %c = tk.requant %acc, %m, %o {lo = 0.0 : f32, hi = 255.0 : f32}
  return %c : vector<16xi32>
}

// Two in step: both look-ups of a coefficient are neighbours.
// CHECK-LABEL: func.func @gelu
// CHECK-NOT: tk.gelu
// CHECK: tk.lut16
// CHECK-NEXT: tk.lut16
// CHECK-NOT: fastmath
func.func @gelu(%a: vector<16xf32>, %b: vector<16xf32>)
    -> (vector<16xf32>, vector<16xf32>) {
  %0 = tk.gelu %a
  %1 = tk.gelu %b
  return %0, %1 : vector<16xf32>, vector<16xf32>
}

// A chain is not a run.
// CHECK-LABEL: func.func @chain
// CHECK-NOT: tk.tanh
// CHECK: return
func.func @chain(%a: vector<16xf32>) -> vector<16xf32> {
  %0 = tk.tanh %a
  %1 = tk.tanh %0
  return %1 : vector<16xf32>
}
