// RUN: quern-opt %s --tq-lower-micro-ops --verify-diagnostics

func.func @gelu(%v: vector<16xf32>) -> vector<16xf32> {
  // expected-error @+1 {{has no plain lowering; tq-expand-math must run first}}
  %0 = tk.gelu %v
  return %0 : vector<16xf32>
}
