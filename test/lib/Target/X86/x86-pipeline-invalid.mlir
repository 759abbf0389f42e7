// RUN: not quern-opt %s --tq-x86-pipeline=tier=avx2 2>&1 | FileCheck %s

// CHECK: Cannot find option named 'avx2'
module {}
