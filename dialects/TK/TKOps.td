//===- TKOps.td - Micro-ops -----------------------------------------------===//
//
// What a target must know. Each op states its formula; the plain lowering is
// lib/Lower/LowerMicroOps.cpp, the ones for instructions lib/Target.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_DIALECTS_TK_TKOPS
#define QUERN_DIALECTS_TK_TKOPS

include "dialects/TK/TKBase.td"
include "dialects/TK/TKProgram.td"

def TK_Dot4Op : TK_Op<"dot4", [Pure]> {
  let summary = "4-way dot product of unsigned and signed bytes in 16 lanes";
  let description = [{
    `result[l] = acc[l] + sum_{t<4} u8(a[4 l + t]) * s8(b[4 l + t])`, in i32
    with wrap-around and no saturation between.

    ```mlir
    %r = tk.dot4 %acc, %a, %b
    ```
  }];
  let arguments = (ins TK_Lanes:$acc, TK_Bytes:$a, TK_Bytes:$b);
  let results = (outs TK_Lanes:$result);
  let assemblyFormat = "$acc `,` $a `,` $b attr-dict";
}

def TK_TileDotOp : TK_Op<"tile_dot", [Pure]> {
  let summary = "product of a 16x64 tile of u8 and a 64x16 tile of s8";
  let description = [{
    `result[m][n] = acc[m][n] + sum_{k<64} u8(a[m][k]) * s8(b[k/4][4 n + k%4])`
    in i32 with wrap-around. `b` has the layout of packed weights: 16 rows of
    16 columns times 4 consecutive k, which is also that of an AMX tile.

    ```mlir
    %r = tk.tile_dot %acc, %a, %b
    ```
  }];
  let arguments = (ins TK_LaneTile:$acc, TK_ByteTile:$a, TK_ByteTile:$b);
  let results = (outs TK_LaneTile:$result);
  let assemblyFormat = "$acc `,` $a `,` $b attr-dict";
}

def TK_TileLoadOp : TK_Op<"tile_load"> {
  let summary = "16 rows of 64 bytes of memory";
  let description = [{
    `result[m] = memory[index + m * stride ...]`, 64 bytes for each m < 16: as
    they are, or as 16 numbers of 32 bits, least significant byte first. Index
    and stride count bytes; a stride of 0 repeats a row. `streamed` says that
    what is read will be read again only after more than the nearest cache
    holds. No alignment is needed.

    ```mlir
    %a = tk.tile_load %x[%i] {stride = 768 : i64, streamed}
        : memref<?xi8>, vector<16x64xi8>
    ```
  }];
  let arguments = (ins Arg<TK_ByteBuffer, "", [MemRead]>:$memory, Index:$index,
                       I64Attr:$stride, UnitAttr:$streamed);
  let results = (outs AnyTypeOf<[TK_ByteTile, TK_LaneTile]>:$result);
  let assemblyFormat = [{
    $memory `[` $index `]` attr-dict `:` type($memory) `,` type($result)
  }];
  let hasVerifier = 1;
}

def TK_TileStoreOp : TK_Op<"tile_store"> {
  let summary = "a tile of numbers written as 16 rows of 64 bytes";
  let description = [{
    `memory[index + m * stride ...] = value[m]`, least significant byte first;
    index and stride count bytes, and rows may not overlap.

    ```mlir
    tk.tile_store %sums, %scratch[%i] {stride = 64 : i64} : memref<?xi8>
    ```
  }];
  let arguments = (ins TK_LaneTile:$value,
                       Arg<TK_ByteBuffer, "", [MemWrite]>:$memory, Index:$index,
                       I64Attr:$stride);
  let assemblyFormat = [{
    $value `,` $memory `[` $index `]` attr-dict `:` type($memory)
  }];
  let hasVerifier = 1;
}

def TK_ProductOp : TK_Op<"product"> {
  let summary = "sums of products of rows of codes and panels of weights";
  let description = [{
    For rows m (rounded up to a multiple of 4), panels p and columns l < 16:

    `out[out_at + 4 ((m panels + p) 16 + l)] =
    sum_{q < turns, t < 4} u8(x[x_at + m x_stride + 4 q + t]) * s8(w[p, q, l, t])`

    as i32 with wrap-around. Codes of w have `bits` bits (8, 4 or 2); panels lie
    `panel_bytes` apart from w_at on, in each the codes of `8 / bits`
    neighbouring q share the bytes [16 l][4 t], the first q lowest. At most 32
    rows; turns is a multiple of 16 and x_stride even. Not for tiers that keep
    sums in registers: their kernels are made of `tk.dot4`.

    ```mlir
    tk.product %x[%i], %w[%j], %out[%o] rows(%rows)
        {x_stride = 64 : i64, turns = 16 : i64, panels = 3 : i64,
         panel_bytes = 1024 : i64, bits = 8 : i64}
        : memref<?xi8>, memref<?xi8>, memref<?xi8>
    ```
  }];
  let arguments = (ins Arg<TK_ByteBuffer, "", [MemRead]>:$x, Index:$x_at,
                       Arg<TK_ByteBuffer, "", [MemRead]>:$w, Index:$w_at,
                       Arg<TK_ByteBuffer, "", [MemWrite]>:$out, Index:$out_at,
                       Index:$rows, I64Attr:$x_stride, I64Attr:$turns,
                       I64Attr:$panels, I64Attr:$panel_bytes, I64Attr:$bits);
  let assemblyFormat = [{
    $x `[` $x_at `]` `,` $w `[` $w_at `]` `,` $out `[` $out_at `]`
    `rows` `(` $rows `)` attr-dict `:` type($x) `,` type($w) `,` type($out)
  }];
  let hasVerifier = 1;
}

def TK_Broadcast4Op : TK_Op<"broadcast4"> {
  let summary = "four bytes of memory repeated in all 16 lanes";
  let description = [{
    `result[4 l + t] = memory[index + t]` for t < 4 and every lane l. No
    alignment is needed.

    ```mlir
    %a = tk.broadcast4 %m[%i] : memref<?xi8>
    ```
  }];
  let arguments = (ins Arg<TK_ByteBuffer, "", [MemRead]>:$memory,
                       Index:$index);
  let results = (outs TK_Bytes:$result);
  let assemblyFormat = "$memory `[` $index `]` attr-dict `:` type($memory)";
}

def TK_Lut256Op : TK_Op<"lut256"> {
  let summary = "64 look-ups in a table of 256 bytes";
  let description = [{
    `result[l] = table[offset + u8(codes[l])]`.

    ```mlir
    %y = tk.lut256 %codes, %table[%o] : memref<?xi8>
    ```
  }];
  let arguments = (ins TK_Bytes:$codes,
                       Arg<TK_ByteBuffer, "", [MemRead]>:$table,
                       Index:$offset);
  let results = (outs TK_Bytes:$result);
  let assemblyFormat = [{
    $codes `,` $table `[` $offset `]` attr-dict `:` type($table)
  }];
}

def TK_UnpackOp : TK_Op<"unpack", [Pure]> {
  let summary = "64 signed codes of 4 or 2 bits out of 64 bytes";
  let description = [{
    `result[l]` is the signed number in bits `[part * bits, part * bits + bits)`
    of `packed[l]`: one of the 8 / bits codes that each byte holds.

    ```mlir
    %w = tk.unpack %packed {bits = 4 : i64, part = 1 : i64}
    ```
  }];
  let arguments = (ins TK_Bytes:$packed, I64Attr:$bits, I64Attr:$part);
  let results = (outs TK_Bytes:$result);
  let assemblyFormat = "$packed attr-dict";
  let hasVerifier = 1;
}

def TK_Lut16Op : TK_Op<"lut16", [Pure]> {
  let summary = "16 look-ups in a table of 16 floats";
  let description = [{
    `result[l] = table[index[l] & 15]`; the upper bits of an index are ignored.

    ```mlir
    %y = tk.lut16 %index, %table
    ```
  }];
  let arguments = (ins TK_Lanes:$index, TK_Floats:$table);
  let results = (outs TK_Floats:$result);
  let assemblyFormat = "$index `,` $table attr-dict";
}

class TK_CodeOp<string mnemonic> : TK_Op<mnemonic, [Pure]> {
  let results = (outs TK_Lanes:$result);
  let hasVerifier = 1;
}

def TK_RoundOp : TK_CodeOp<"round"> {
  let summary = "clamp in f32, then round to the nearest integer";
  let description = [{
    `rne(min(hi, max(lo, v)))`, ties to even (`qm_round_code`). The limits are
    integers with `-2^22 <= lo <= hi <= 2^22`, or `0 <= lo <= hi <= 2^23`.

    ```mlir
    %c = tk.round %v {lo = 0.0 : f32, hi = 255.0 : f32}
    ```
  }];
  let arguments = (ins TK_Floats:$value, F32Attr:$lo, F32Attr:$hi);
  let assemblyFormat = "$value attr-dict";
}

def TK_RequantOp : TK_CodeOp<"requant"> {
  let summary = "the code of an accumulator";
  let description = [{
    `round(f32(acc) * multiplier + offset)` with the limits of `tk.round`
    (`qm_requant`): conversion, product and sum are each rounded to f32.

    ```mlir
    %c = tk.requant %acc, %m, %o {lo = 0.0 : f32, hi = 255.0 : f32}
    ```
  }];
  let arguments = (ins TK_Lanes:$acc, TK_Floats:$multiplier, TK_Floats:$offset,
                       F32Attr:$lo, F32Attr:$hi);
  let assemblyFormat = "$acc `,` $multiplier `,` $offset attr-dict";
}

class TK_FloatOp<string mnemonic, string what, string function>
    : TK_Op<mnemonic, [Pure]> {
  let summary = what # " in 16 lanes";
  let description = "`" # function # [{` of quant_math.h, operation by operation.

    ```mlir
    %y = tk.}] # mnemonic # [{ %x
    ```
  }];
  let arguments = (ins TK_Floats:$value);
  let results = (outs TK_Floats:$result);
  let assemblyFormat = "$value attr-dict";
}

def TK_GeluOp : TK_FloatOp<"gelu", "GELU, exact form", "qm_gelu">;
def TK_GeluTanhOp
    : TK_FloatOp<"gelu_tanh", "GELU, tanh form", "qm_gelu_tanh">;
def TK_TanhOp : TK_FloatOp<"tanh", "hyperbolic tangent", "qm_tanh">;
def TK_ExpOp : TK_FloatOp<"exp", "exponential", "qm_exp">;

def TK_MaxOp : TK_Op<"max", [Pure]> {
  let summary = "larger of two floats, the second if not ordered";
  let description = [{
    `a > b ? a : b` in each lane (`qm_max`): unlike `arith.maximumf` it is one
    instruction.

    ```mlir
    %r = tk.max %a, %b
    ```
  }];
  let arguments = (ins TK_Floats:$a, TK_Floats:$b);
  let results = (outs TK_Floats:$result);
  let assemblyFormat = "$a `,` $b attr-dict";
}

def TK_MinOp : TK_Op<"min", [Pure]> {
  let summary = "smaller of two floats, the second if not ordered";
  let description = [{
    `a < b ? a : b` in each lane (`qm_min`).

    ```mlir
    %r = tk.min %a, %b
    ```
  }];
  let arguments = (ins TK_Floats:$a, TK_Floats:$b);
  let results = (outs TK_Floats:$result);
  let assemblyFormat = "$a `,` $b attr-dict";
}

def TK_LoadCodesOp : TK_Op<"load_codes"> {
  let summary = "16 codes of memory widened to i32";
  let description = [{
    `result[l] = memory[index + l]`, zero-extended, or sign-extended with the
    unit attribute `signed`.

    ```mlir
    %c = tk.load_codes %m[%i] : memref<?xi8>
    ```
  }];
  let arguments = (ins Arg<TK_CodeBuffer, "", [MemRead]>:$memory, Index:$index,
                       UnitAttr:$isSigned);
  let results = (outs TK_Lanes:$result);
  let assemblyFormat = [{
    (`signed` $isSigned^)? $memory `[` $index `]` attr-dict `:` type($memory)
  }];
}

def TK_StoreCodesOp : TK_Op<"store_codes"> {
  let summary = "16 lanes stored as codes";
  let description = [{
    `memory[index + l] = value[l]`, keeping the low 8 or 16 bits.

    ```mlir
    tk.store_codes %c, %m[%i] : memref<?xi8>
    ```
  }];
  let arguments = (ins TK_Lanes:$value,
                       Arg<TK_CodeBuffer, "", [MemWrite]>:$memory,
                       Index:$index);
  let assemblyFormat = [{
    $value `,` $memory `[` $index `]` attr-dict `:` type($memory)
  }];
}

#endif // QUERN_DIALECTS_TK_TKOPS
