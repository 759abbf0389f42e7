// RUN: quern-opt %s --tq-lower-entry --verify-diagnostics

// expected-error @+1 {{expects 5 arguments for each memref and 5 more, got 2}}
llvm.func @kernel(%a: i64, %b: i64) attributes {tk.kernel} {
  llvm.return
}
