// RUN: quern-opt %s --split-input-file --verify-diagnostics

// expected-error @+1 {{expects 'tq.model' to be a dictionary, got 3 : i64}}
module attributes {tq.model = 3 : i64} {}

// -----

// expected-error @+1 {{expects 'tq.model' to hold the string 'family'}}
module attributes {tq.model = {head = "classification"}} {}

// -----

// expected-error @+1 {{expects 'layers' of 'tq.model' not to be negative, got -1}}
module attributes {tq.model = {family = "bert", head = "embedding", layers = -1 : i64}} {}

// -----

// expected-error @+1 {{expects 'hidden' of 'tq.model' to be a multiple of 'heads', got 100 and 3}}
module attributes {tq.model = {family = "bert", head = "embedding", hidden = 100 : i64, heads = 3 : i64}} {}

// -----

// expected-error @+1 {{carries 'tq.model', which belongs on the module}}
func.func private @f() attributes {tq.model = {family = "bert", head = "embedding"}}
