// RUN: not quern-opt %s --tq-x86-pipeline=tier=mmx 2>&1 | FileCheck %s

// CHECK: Cannot find option named 'mmx'
module {}
