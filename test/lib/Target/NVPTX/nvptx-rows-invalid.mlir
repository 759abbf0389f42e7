// RUN: not quern-opt %s --tq-nvptx-add-norm="d=770" 2>&1 | FileCheck %s --check-prefix=WIDTH
// RUN: not quern-opt %s --tq-nvptx-add-norm="sum=f32" 2>&1 | FileCheck %s --check-prefix=SUM
// RUN: not quern-opt %s --tq-nvptx-add-norm="second=planes" 2>&1 | FileCheck %s --check-prefix=SECOND
// RUN: not quern-opt %s --tq-nvptx-add-norm="a=s8" 2>&1 | FileCheck %s --check-prefix=STORAGE
// RUN: not quern-opt %s --tq-nvptx-embed="d=4096" 2>&1 | FileCheck %s --check-prefix=WIDE
// RUN: not quern-opt %s --tq-nvptx-embed="e2=f32" 2>&1 | FileCheck %s --check-prefix=EMBED
// RUN: not quern-opt %s --tq-nvptx-elements="function=round" 2>&1 | FileCheck %s --check-prefix=FUNCTION
// RUN: not quern-opt %s --tq-nvptx-elements="in=f32" 2>&1 | FileCheck %s --check-prefix=REALS
// RUN: not quern-opt %s --tq-nvptx-elements="function=planes" 2>&1 | FileCheck %s --check-prefix=CODES
// RUN: not quern-opt %s --tq-nvptx-elements="function=limit" 2>&1 | FileCheck %s --check-prefix=LIMIT
// RUN: not quern-opt %s --tq-nvptx-add-norm="groups=true sum=u16" 2>&1 | FileCheck %s --check-prefix=GROUPED
// RUN: not quern-opt %s --tq-nvptx-add-norm="fixed=true result=f32" 2>&1 | FileCheck %s --check-prefix=FIXED
// RUN: not quern-opt %s --tq-nvptx-embed="word-bits=3" 2>&1 | FileCheck %s --check-prefix=TABLE
// RUN: not quern-opt %s --tq-nvptx-embed="factors=true" 2>&1 | FileCheck %s --check-prefix=FACTORS
// RUN: not quern-opt %s --tq-nvptx-tokens="bits=16" 2>&1 | FileCheck %s --check-prefix=TOKENS
// RUN: not quern-opt %s --tq-nvptx-tokens="function=round" 2>&1 | FileCheck %s --check-prefix=WAY
// RUN: not quern-opt %s --tq-nvptx-add="result=f32" 2>&1 | FileCheck %s --check-prefix=SUM
// RUN: not quern-opt %s --tq-nvptx-add="fixed=true a=f32" 2>&1 | FileCheck %s --check-prefix=WHOLE
// RUN: not quern-opt %s --tq-nvptx-lookup="bits=3" 2>&1 | FileCheck %s --check-prefix=LOOKUP
// RUN: not quern-opt %s --tq-nvptx-elements="offset=true" 2>&1 | FileCheck %s --check-prefix=OFFSET

module {}

// WIDTH: rows of 770 columns, expected a multiple of 4, at most 2048
// SUM: the sum of a residual in f32, expected u8 or u16
// STORAGE: result: found 's8', expected u8, u16 or f32
// WIDE: rows of 4096 columns, expected a multiple of 4, at most 2048
// EMBED: sums of embeddings in f32, expected u8 or u16
// FUNCTION: function: found 'round', expected quantize, dequantize, requantize, pool_first, pool_mean, normalize, planes or limit
// REALS: dequantize: found f32 to f32, expected codes to f32
// CODES: planes: found u8 to f32, expected u16 to u8
// LIMIT: limit: found u8 to f32, expected u8 to u8
// GROUPED: groups of a residual's sum: found u16, expected u8
// FIXED: a LayerNorm without floats with f32 results, expected u8 or u16
// TABLE: table word of 3 bits, expected 8, 4 or 2
// FACTORS: embeddings with factors of channels, expected them without floats alone
// TOKENS: ranges of tokens: codes of 16 bits, expected 2 to 8
// WAY: function: found 'round', expected quantize, dequantize or shift_gelu
// WHOLE: a sum without floats of f32 operands, expected u8 or u16
// LOOKUP: table of 3 bits, expected 32, 8, 4 or 2
// OFFSET: dequantize: found a real offset, expected it of pool_mean
// SECOND: a second form of u8, expected one of codes, planes of u16
